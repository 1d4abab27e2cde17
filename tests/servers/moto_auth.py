#!/usr/bin/env python3
"""Make moto strict: a user with a key, a role that may be assumed, then signatures and policies are verified.

    moto_auth.py http://127.0.0.1:PORT      prints lines for an environment: the user's key and the role's ARN
"""
import json
import sys
import urllib.request

import boto3

ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
DATA_ONLY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "sqs:*"], "Resource": "*"}]}
ANYBODY_ASSUMES = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}


def requests_without_auth(url, count):
    """moto verifies after so many requests; "inf" turns verification off."""
    request = urllib.request.Request(url + "/moto-api/reset-auth", data=count.encode(), method="POST",
                                     headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request).read()


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    url = sys.argv[1]
    requests_without_auth(url, "inf")
    iam = boto3.client("iam", endpoint_url=url, region_name="us-east-1", aws_access_key_id="setup", aws_secret_access_key="setup")
    iam.create_user(UserName="ingester")
    iam.put_user_policy(UserName="ingester", PolicyName="all", PolicyDocument=json.dumps(ALLOW_ALL))
    key = iam.create_access_key(UserName="ingester")["AccessKey"]
    role = iam.create_role(RoleName="ingest-role", AssumeRolePolicyDocument=json.dumps(ANYBODY_ASSUMES))["Role"]
    iam.put_role_policy(RoleName="ingest-role", PolicyName="data", PolicyDocument=json.dumps(DATA_ONLY))
    requests_without_auth(url, "0")
    print("AWS_ACCESS_KEY_ID=%s" % key["AccessKeyId"])
    print("AWS_SECRET_ACCESS_KEY=%s" % key["SecretAccessKey"])
    print("AWS_ROLE_ARN=%s" % role["Arn"])


if __name__ == "__main__":
    main()
