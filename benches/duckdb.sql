-- SES events to one row per event and recipient, with hearback's columns as far as a query can say them.
-- Without those that take judgement (mailbox_provider, bounce_class, actor, actor_reason, rule_version), the place in
-- the source, and columns that SES never fills.
COPY (
  WITH documents AS (
    SELECT *,
      CASE eventType WHEN 'DeliveryDelay' THEN 'delivery_delay' ELSE lower(replace(eventType, ' ', '_')) END AS event_type,
      coalesce(delivery.timestamp, bounce.timestamp, complaint.timestamp, open.timestamp, click.timestamp,
               deliveryDelay.timestamp, subscription.timestamp, mail.timestamp)::TIMESTAMP AS event_time,
      CASE eventType
        WHEN 'Bounce' THEN bounce.bouncedRecipients
        WHEN 'Complaint' THEN list_transform(complaint.complainedRecipients, lambda r: {'emailAddress': r.emailAddress, 'status': NULL, 'diagnosticCode': NULL})
        WHEN 'DeliveryDelay' THEN deliveryDelay.delayedRecipients
        ELSE list_transform(coalesce(delivery.recipients, CASE WHEN len(mail.destination) = 1 OR eventType NOT IN ('Open', 'Click') THEN mail.destination END), lambda r: {'emailAddress': r, 'status': NULL, 'diagnosticCode': NULL})
      END AS concerned
    FROM read_json('$source', format = 'newline_delimited', columns = {
    eventType: 'VARCHAR',
    mail: 'STRUCT("timestamp" VARCHAR, messageId VARCHAR, source VARCHAR, sourceArn VARCHAR, sendingAccountId VARCHAR, destination VARCHAR[], commonHeaders STRUCT(subject VARCHAR), tags MAP(VARCHAR, VARCHAR[]))',
    delivery: 'STRUCT("timestamp" VARCHAR, processingTimeMillis BIGINT, recipients VARCHAR[], smtpResponse VARCHAR, reportingMTA VARCHAR, remoteMtaIp VARCHAR)',
    bounce: 'STRUCT("timestamp" VARCHAR, bounceType VARCHAR, bounceSubType VARCHAR, feedbackId VARCHAR, reportingMTA VARCHAR, remoteMtaIp VARCHAR, bouncedRecipients STRUCT(emailAddress VARCHAR, status VARCHAR, diagnosticCode VARCHAR)[])',
    complaint: 'STRUCT("timestamp" VARCHAR, feedbackId VARCHAR, complaintFeedbackType VARCHAR, complaintSubType VARCHAR, userAgent VARCHAR, complainedRecipients STRUCT(emailAddress VARCHAR)[])',
    open: 'STRUCT("timestamp" VARCHAR, ipAddress VARCHAR, userAgent VARCHAR)',
    click: 'STRUCT("timestamp" VARCHAR, ipAddress VARCHAR, userAgent VARCHAR, link VARCHAR, linkTags MAP(VARCHAR, VARCHAR[]))',
    deliveryDelay: 'STRUCT("timestamp" VARCHAR, delayType VARCHAR, reportingMTA VARCHAR, delayedRecipients STRUCT(emailAddress VARCHAR, status VARCHAR, diagnosticCode VARCHAR)[])',
    reject: 'STRUCT(reason VARCHAR)',
    failure: 'STRUCT(errorMessage VARCHAR, templateName VARCHAR)',
    subscription: 'STRUCT("timestamp" VARCHAR, contactList VARCHAR, source VARCHAR)'
  })), rows AS (
    SELECT *, unnest(CASE WHEN len(concerned) > 0 THEN concerned ELSE [NULL] END) AS about FROM documents
  )
  SELECT
    md5(concat_ws(chr(31), event_type, mail.messageId, event_time, about.emailAddress, click.link)) AS event_id,
    event_type, event_time, now() AS ingest_time, 'ses' AS source, 'email' AS channel,
    mail.sendingAccountId AS account_id, split_part(mail.sourceArn, ':', 4) AS region,
    mail.messageId AS message_id, mail.timestamp::TIMESTAMP AS sent_time,
    mail.source AS sender, split_part(mail.source, '@', 2) AS sender_domain,
    lower(about.emailAddress) AS recipient, lower(split_part(about.emailAddress, '@', 2)) AS recipient_domain,
    len(mail.destination) AS recipient_count, mail.commonHeaders.subject AS subject,
    mail.tags['ses:configuration-set'][1] AS configuration_set, mail.tags['campaign'][1] AS campaign,
    mail.tags['template'][1] AS template, mail.tags['ses:tenant-name'][1] AS tenant, mail.tags AS tags,
    delivery.processingTimeMillis AS processing_ms, delivery.smtpResponse AS smtp_response,
    coalesce(about.status, regexp_extract(delivery.smtpResponse, '^[245][0-9][0-9][ -]([245]\.[0-9]+\.[0-9]+)', 1)) AS status_code,
    about.diagnosticCode AS diagnostic, coalesce(delivery.remoteMtaIp, bounce.remoteMtaIp) AS remote_ip,
    coalesce(delivery.reportingMTA, bounce.reportingMTA, deliveryDelay.reportingMTA) AS reporting_mta,
    bounce.bounceType AS bounce_type, bounce.bounceSubType AS bounce_subtype,
    complaint.complaintFeedbackType AS complaint_type, complaint.complaintSubType AS complaint_subtype,
    deliveryDelay.delayType AS delay_type,
    coalesce(open.ipAddress, click.ipAddress) AS ip_address,
    coalesce(open.userAgent, click.userAgent, complaint.userAgent) AS user_agent, click.link AS link,
    coalesce(reject.reason, failure.errorMessage) AS failure_reason,
    to_json({'sourceArn': mail.sourceArn, 'feedbackId': coalesce(bounce.feedbackId, complaint.feedbackId), 'linkTags': click.linkTags}) AS extra,
    '$source' AS source_name
  FROM rows
) TO '$target' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)
