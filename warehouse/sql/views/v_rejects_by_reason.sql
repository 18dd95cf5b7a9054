-- question: What was refused, where and why?
-- grain: one stage and reason, over everything that was ever refused and not accepted by a later replay
-- example: SELECT stage, reason, rejects, uris, example_uri FROM v_rejects_by_reason ORDER BY rejects DESC, stage, reason
-- like rejects: stage, reason
-- rejects: refused files and records
-- uris: different uris among them
-- example_uri: the first of those by name
-- last_rejected_at: when the newest was committed
SELECT
    stage,
    reason,
    count(*) AS rejects,
    count(DISTINCT uri) AS uris,
    min(uri) AS example_uri,
    max(rejected_at) AS last_rejected_at
FROM rejects
GROUP BY stage, reason
