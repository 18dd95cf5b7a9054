-- question: What had to be repaired, where?
-- grain: one repair step and source of current documents
-- example: FROM v_repairs ORDER BY repairs DESC, step, source
-- step: normalisation step that changed something
-- like documents: source
-- documents: documents that it changed
-- repairs: how often it changed something
SELECT
    repair.step AS step,
    source,
    count(*) AS documents,
    CAST(sum(repair.count) AS BIGINT) AS repairs
FROM (SELECT source, unnest(repairs) AS repair FROM v_documents_current) AS repaired
GROUP BY ALL
