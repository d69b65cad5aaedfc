-- What happened to one recipient, or to one message, in order of time?
SELECT
    event_time,
    event_type,
    message_id,
    recipient,
    campaign,
    subject,
    CASE event_type
        WHEN 'bounce' THEN bounce_class
        WHEN 'complaint' THEN coalesce(complaint_type, complaint_subtype, 'complaint')
        WHEN 'delivery_delay' THEN delay_type
        WHEN 'open' THEN actor
        WHEN 'click' THEN actor
        WHEN 'delivery' THEN status_code
        ELSE failure_reason
    END AS detail,
    coalesce(link, diagnostic, smtp_response, user_agent) AS evidence
FROM events
WHERE $condition
ORDER BY event_time, event_type, message_id, recipient, event_id
