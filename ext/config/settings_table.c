/* settings_table.c - every setting: name, further names, default, and the sentence that explains it.
**
** The order is that of enum os_setting_id, and that in which os_settings shows them. What a value may
** be is in setting_check.c. Pure.
*/
#include "base/text.h"
#include "config/settings.h"

static const struct os_setting_info table[OS_SET_COUNT] = {
    [OS_SET_ENDPOINT] = {"OPENSEARCH_ENDPOINT",
                         {"OPENSEARCH_URL", NULL},
                         NULL,
                         "URL of the cluster: http or https, host, port, perhaps a path; no user name in it.",
                         false},
    [OS_SET_USERNAME] =
        {"OPENSEARCH_USERNAME", {NULL, NULL}, NULL, "User name for basic authentication.", false},
    [OS_SET_PASSWORD] = {"OPENSEARCH_PASSWORD",
                         {NULL, NULL},
                         NULL,
                         "Password for basic authentication: itself, 'env:NAME' or 'file:PATH'.",
                         true},
    [OS_SET_AUTH] = {"OPENSEARCH_AUTH",
                     {NULL, NULL},
                     "auto",
                     "How to log in: none, basic, iam, or auto (iam at hosts of Amazon's without a user "
                     "name; else basic when "
                     "there is a user name or a netrc file).",
                     false},
    [OS_SET_SERVERLESS] =
        {"OPENSEARCH_SERVERLESS",
         {NULL, NULL},
         "auto",
         "Is the endpoint a collection of OpenSearch Serverless: true, false, or auto (by its name).",
         false},
    [OS_SET_SERVERLESS_DELAY] =
        {"OPENSEARCH_SERVERLESS_DELAY",
         {NULL, NULL},
         "90",
         "Seconds after which a search of a collection is sure to find what was written to it.",
         false},
    [OS_SET_AWS_REGION] =
        {"AWS_REGION", {"AWS_DEFAULT_REGION", NULL}, NULL, "AWS region, as eu-west-1.", false},
    [OS_SET_AWS_PROFILE] = {"AWS_PROFILE",
                            {"AWS_DEFAULT_PROFILE", NULL},
                            NULL,
                            "Profile of the AWS configuration and credentials files.",
                            false},
    [OS_SET_AWS_ROLE_ARN] = {"AWS_ROLE_ARN", {NULL, NULL}, NULL, "ARN of the AWS role to assume.", false},
    [OS_SET_AWS_ENDPOINT_URL] =
        {"AWS_ENDPOINT_URL",
         {NULL, NULL},
         NULL,
         "URL that stands for every AWS service (a stand-in for tests, a VPC endpoint).",
         false},
    [OS_SET_AWS_ENDPOINT_URL_S3] = {"AWS_ENDPOINT_URL_S3", {NULL, NULL}, NULL, "URL of S3 alone.", false},
    [OS_SET_AWS_ENDPOINT_URL_SQS] = {"AWS_ENDPOINT_URL_SQS", {NULL, NULL}, NULL, "URL of SQS alone.", false},
    [OS_SET_AWS_ENDPOINT_URL_STS] = {"AWS_ENDPOINT_URL_STS", {NULL, NULL}, NULL, "URL of STS alone.", false},
    [OS_SET_INDEX] = {"OPENSEARCH_INDEX",
                      {NULL, NULL},
                      NULL,
                      "Index that a load goes to when the command names none.",
                      false},
    [OS_SET_LOAD_MODE] = {"LOAD_MODE",
                          {NULL, NULL},
                          "auto",
                          "Mode of a load that names none: auto, fresh, append, upsert, resume.",
                          false},
    [OS_SET_BATCH_SIZE] =
        {"BATCH_SIZE", {NULL, NULL}, "10000", "Most documents in one bulk request: 1 to 1000000.", false},
    [OS_SET_BATCH_BYTES] = {"BATCH_BYTES",
                            {NULL, NULL},
                            "8MiB",
                            "Most uncompressed bytes in one bulk request: 1KiB to 1GiB.",
                            false},
    [OS_SET_MAX_WORKERS] =
        {"MAX_WORKERS", {NULL, NULL}, "4", "Most bulk requests in flight: 1 to 256.", false},
    [OS_SET_INDEX_RECREATE_THRESHOLD] = {"INDEX_RECREATE_THRESHOLD",
                                         {NULL, NULL},
                                         "1000000",
                                         "From how many documents on an index is emptied by making it anew.",
                                         false},
    [OS_SET_DOCUMENT_COUNT_THRESHOLD] =
        {"DOCUMENT_COUNT_THRESHOLD",
         {NULL, NULL},
         "100",
         "By how many per cent two indices may differ in documents for an alias to move.",
         false},
    [OS_SET_LOG_LEVEL] = {"LOG_LEVEL",
                          {NULL, NULL},
                          "INFO",
                          "Least level that is logged: DEBUG, INFO, WARNING, ERROR, CRITICAL, OFF.",
                          false},
    [OS_SET_LOG_FORMAT] =
        {"LOG_FORMAT",
         {NULL, NULL},
         "text",
         "text, json, or a template with %(asctime)s %(name)s %(levelname)s %(message)s %(job)s "
         "%(correlation_id)s.",
         false},
    [OS_SET_LOG_FILE] =
        {"LOG_FILE", {NULL, NULL}, NULL, "File the log is appended to; none: standard error.", false},
    [OS_SET_VERIFY_SSL] =
        {"VERIFY_SSL", {NULL, NULL}, "true", "Check the server's certificate: true or false.", false},
    [OS_SET_VERIFY_HOSTNAME] = {"VERIFY_HOSTNAME",
                                {NULL, NULL},
                                "true",
                                "Check that the certificate is for this host: true or false.",
                                false},
    [OS_SET_CA_BUNDLE] =
        {"CA_BUNDLE",
         {NULL, NULL},
         NULL,
         "PEM file of the authorities to trust; else CURL_CA_BUNDLE, SSL_CERT_FILE, the system's.",
         false},
    [OS_SET_HTTP_COMPRESS] = {"HTTP_COMPRESS",
                              {NULL, NULL},
                              "auto",
                              "Send bodies as gzip: always, never, or auto (not to this machine).",
                              false},
    [OS_SET_REQUEST_TIMEOUT] =
        {"REQUEST_TIMEOUT", {NULL, NULL}, "60", "Seconds one request may take.", false},
    [OS_SET_MAX_RETRIES] =
        {"MAX_RETRIES", {NULL, NULL}, "8", "How often a request is tried again: 0 to 1000.", false},
    [OS_SET_MAX_RATE] = {"MAX_RATE",
                         {NULL, NULL},
                         NULL,
                         "Most documents ('5000/s') or bytes ('10MiB/s') sent a second.",
                         false},
    [OS_SET_DLQ] = {"DLQ",
                    {NULL, NULL},
                    "disabled",
                    "Send refused records to the SQS queue too: enabled or disabled.",
                    false},
    [OS_SET_SQS_DLQ_ARN] =
        {"SQS-DLQ-ARN", {"SQS_DLQ_ARN", NULL}, NULL, "ARN of the SQS queue for refused records.", false},
    [OS_SET_OUTPUT_BUCKET] =
        {"OUTPUT_BUCKET", {NULL, NULL}, NULL, "S3 bucket for backups, perhaps with a prefix.", false},
    [OS_SET_LEDGER] = {"OS_LEDGER",
                       {NULL, NULL},
                       NULL,
                       "File of the job history; none: beside the database; ':memory:': not kept.",
                       false},
};

const struct os_setting_info *os_setting_info(enum os_setting_id id) {
  return &table[id];
}

int os_setting_find(const char *name) {
  for (int id = 0; id < OS_SET_COUNT; id++) {
    if (os_strcasecmp(table[id].name, name) == 0) return id;
    for (int a = 0; a < 2 && table[id].aliases[a]; a++)
      if (os_strcasecmp(table[id].aliases[a], name) == 0) return id;
  }
  return -1;
}
