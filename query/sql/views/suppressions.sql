-- One row per recipient and suppression list on which it stands, and per pause: with rule and evidence where we put it there.
--
-- owner is hearback where the ledger says that we added the entry, and other where somebody else did (SES
-- itself, or an operator by another way). listed tells whether the entry was there when the list was read
-- last; an entry of ours that somebody took off since is shown with false. A pause is on no list: it keeps
-- the recipient out of segments until expires_time.
WITH changes AS (
    SELECT
        change_id,
        changed_time,
        account_id,
        region,
        coalesce(tenant, '') AS tenant,
        address,
        recipient,
        action,
        reason,
        rule,
        rule_version,
        evidence,
        evidence_time,
        actor,
        note,
        plan_id,
        expires_time,
        row_number() OVER (
            PARTITION BY account_id, region, tenant, recipient
            ORDER BY changed_time DESC, change_id DESC
        ) AS nth
    FROM suppression_ledger
    WHERE outcome = 'done' AND action IN ('add', 'remove', 'pause')
),

ours AS (
    SELECT *
    FROM changes
    WHERE nth = 1 AND action IN ('add', 'pause')
),

sights AS (
    SELECT
        account_id,
        region,
        coalesce(tenant, '') AS tenant,
        address,
        recipient,
        kind,
        reason,
        list_time,
        row_number() OVER (
            PARTITION BY account_id, region, tenant, address
            ORDER BY changed_time DESC, change_id DESC
        ) AS nth
    FROM suppression_list
    WHERE kind IN ('entry', 'gone')
),

listed AS (
    SELECT *
    FROM sights
    WHERE nth = 1 AND kind = 'entry'
)

SELECT
    coalesce(listed.recipient, ours.recipient) AS recipient,
    coalesce(listed.address, ours.address) AS address,
    CASE WHEN ours.action = 'pause' THEN 'pause' ELSE 'list' END AS kind,
    coalesce(listed.account_id, ours.account_id) AS account_id,
    coalesce(listed.region, ours.region) AS region,
    nullif(coalesce(listed.tenant, ours.tenant), '') AS tenant,
    coalesce(listed.reason, ours.reason) AS reason,
    listed.address IS NOT NULL AS listed,
    CASE WHEN ours.change_id IS NULL THEN 'other' ELSE 'hearback' END AS owner,
    ours.rule,
    ours.rule_version,
    ours.evidence,
    ours.evidence_time,
    coalesce(ours.changed_time, listed.list_time) AS since,
    ours.expires_time,
    ours.actor,
    ours.note,
    ours.plan_id
FROM ours
FULL OUTER JOIN listed
    ON
        ours.account_id = listed.account_id
        AND ours.region = listed.region
        AND ours.tenant = listed.tenant
        AND ours.recipient = listed.recipient
WHERE
    coalesce(ours.action, 'add') = 'add'
    OR ours.expires_time IS NULL
    OR ours.expires_time > now()
