"""A queue of its own for a test, seen past the proxy that verifies signatures: what goes into it by other ways than the
extension's."""
import json
import time
import urllib.request


class Queue:
    def __init__(self, url, name, attributes):
        self.url, self.name = url, name
        self.arn = "arn:aws:sqs:us-east-1:000000000000:" + name
        self.queue_url = self.act("CreateQueue", QueueName=name, Attributes=attributes)["QueueUrl"]

    def act(self, action, **members):
        request = urllib.request.Request(self.url, json.dumps(members).encode(), {
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS." + action})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")

    def send(self, body):
        self.act("SendMessage", QueueUrl=self.queue_url, MessageBody=body)

    def take(self, remove=True):
        """Every message that can be seen, as text; hidden for a second when they are not removed."""
        found = []
        while True:
            messages = self.act("ReceiveMessage", QueueUrl=self.queue_url, MaxNumberOfMessages=10, VisibilityTimeout=1).get("Messages", [])
            if not messages:
                break
            found += messages
            if remove:
                for message in messages:
                    self.act("DeleteMessage", QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        if not remove:
            time.sleep(1.1)
        return [message["Body"] for message in found]

    def size(self):
        attributes = self.act("GetQueueAttributes", QueueUrl=self.queue_url, AttributeNames=["All"])["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"]), int(attributes["ApproximateNumberOfMessagesNotVisible"])
