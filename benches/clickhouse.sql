-- SES events to one row per event and recipient, with hearback's columns as far as a query can say them.
-- Without those that take judgement (mailbox_provider, bounce_class, actor, actor_reason, rule_version), the place in
-- the source, and columns that SES never fills.
SELECT
  lower(hex(MD5(concat(event_type, mail.messageId, toString(event_time), about.1, ifNull(click.link, ''))))) AS event_id,
  event_type, event_time, now64(6) AS ingest_time, 'ses' AS source, 'email' AS channel,
  mail.sendingAccountId AS account_id, splitByChar(':', ifNull(mail.sourceArn, ''))[4] AS region, mail.messageId AS message_id,
  parseDateTime64BestEffortOrNull(mail.timestamp, 6, 'UTC') AS sent_time,
  mail.source AS sender, splitByChar('@', ifNull(mail.source, ''))[2] AS sender_domain,
  lower(about.1) AS recipient, lower(splitByChar('@', about.1)[2]) AS recipient_domain,
  length(mail.destination) AS recipient_count, mail.commonHeaders.subject AS subject,
  mail.tags['ses:configuration-set'][1] AS configuration_set, mail.tags['campaign'][1] AS campaign,
  mail.tags['template'][1] AS template, mail.tags['ses:tenant-name'][1] AS tenant, mail.tags AS tags,
  delivery.processingTimeMillis AS processing_ms, delivery.smtpResponse AS smtp_response,
  coalesce(about.2, extract(ifNull(delivery.smtpResponse, ''), '^[245][0-9][0-9][ -]([245]\\.[0-9]+\\.[0-9]+)')) AS status_code,
  about.3 AS diagnostic, coalesce(delivery.remoteMtaIp, bounce.remoteMtaIp) AS remote_ip,
  coalesce(delivery.reportingMTA, bounce.reportingMTA, deliveryDelay.reportingMTA) AS reporting_mta,
  bounce.bounceType AS bounce_type, bounce.bounceSubType AS bounce_subtype,
  complaint.complaintFeedbackType AS complaint_type, complaint.complaintSubType AS complaint_subtype,
  deliveryDelay.delayType AS delay_type, coalesce(open.ipAddress, click.ipAddress) AS ip_address,
  coalesce(open.userAgent, click.userAgent, complaint.userAgent) AS user_agent, click.link AS link,
  coalesce(reject.reason, failure.errorMessage) AS failure_reason,
  toJSONString(map('sourceArn', mail.sourceArn, 'feedbackId', coalesce(bounce.feedbackId, complaint.feedbackId))) AS extra,
  '$source' AS source_name
FROM (
  SELECT *,
    if(eventType = 'DeliveryDelay', 'delivery_delay', lower(replaceAll(eventType, ' ', '_'))) AS event_type,
    parseDateTime64BestEffortOrNull(coalesce(delivery.timestamp, bounce.timestamp, complaint.timestamp, open.timestamp, click.timestamp,
      deliveryDelay.timestamp, subscription.timestamp, mail.timestamp), 6, 'UTC') AS event_time,
    arrayMap(address -> (address, CAST(NULL AS Nullable(String)), CAST(NULL AS Nullable(String))), multiIf(
      notEmpty(complaint.complainedRecipients), complaint.complainedRecipients.emailAddress,
      notEmpty(delivery.recipients), delivery.recipients,
      length(mail.destination) = 1 OR eventType NOT IN ('Open', 'Click'), mail.destination, [])) AS plain,
    multiIf(notEmpty(bounce.bouncedRecipients), bounce.bouncedRecipients,
      notEmpty(deliveryDelay.delayedRecipients), deliveryDelay.delayedRecipients, plain) AS concerned
  FROM file('$source', 'JSONEachRow', '
  eventType String,
  mail Tuple("timestamp" Nullable(String), messageId Nullable(String), source Nullable(String), sourceArn Nullable(String), sendingAccountId Nullable(String), destination Array(String), commonHeaders Tuple(subject Nullable(String)), tags Map(String, Array(String))),
  delivery Tuple("timestamp" Nullable(String), processingTimeMillis Nullable(Int64), recipients Array(String), smtpResponse Nullable(String), reportingMTA Nullable(String), remoteMtaIp Nullable(String)),
  bounce Tuple("timestamp" Nullable(String), bounceType Nullable(String), bounceSubType Nullable(String), feedbackId Nullable(String), reportingMTA Nullable(String), remoteMtaIp Nullable(String), bouncedRecipients Array(Tuple(emailAddress String, status Nullable(String), diagnosticCode Nullable(String)))),
  complaint Tuple("timestamp" Nullable(String), feedbackId Nullable(String), complaintFeedbackType Nullable(String), complaintSubType Nullable(String), userAgent Nullable(String), complainedRecipients Array(Tuple(emailAddress String))),
  open Tuple("timestamp" Nullable(String), ipAddress Nullable(String), userAgent Nullable(String)),
  click Tuple("timestamp" Nullable(String), ipAddress Nullable(String), userAgent Nullable(String), link Nullable(String)),
  deliveryDelay Tuple("timestamp" Nullable(String), delayType Nullable(String), reportingMTA Nullable(String), delayedRecipients Array(Tuple(emailAddress String, status Nullable(String), diagnosticCode Nullable(String)))),
  reject Tuple(reason Nullable(String)),
  failure Tuple(errorMessage Nullable(String)),
  subscription Tuple("timestamp" Nullable(String))
  ')
) LEFT ARRAY JOIN concerned AS about
INTO OUTFILE '$target' TRUNCATE FORMAT Parquet
SETTINGS max_threads = 2, output_format_parquet_compression_method = 'zstd', input_format_skip_unknown_fields = 1,
         input_format_json_ignore_unknown_keys_in_named_tuple = 1, input_format_json_defaults_for_missing_elements_in_named_tuple = 1
