-- question: What came from each source, and how well did it go?
-- grain: one source
-- example: SELECT source, files, rejected, documents FROM v_sources ORDER BY documents DESC, source
-- like files: source
-- files: current files
-- duplicates: of these, files whose bytes were known already
-- rejected: of these, files of which nothing was taken
-- deferred: paths that could not be read yet
-- superseded: earlier contents of paths that changed
-- documents: documents of current files, counted at their first uri
-- bytes: size of the current files
-- first_seen_at: when the first of them came
-- last_seen_at: when the newest came
SELECT
    source,
    count(*) FILTER (is_current) AS files,
    count(*) FILTER (is_current AND status = 'duplicate') AS duplicates,
    count(*) FILTER (status = 'rejected' AND (is_current OR file_id IS NULL)) AS rejected,
    count(*) FILTER (status = 'deferred') AS deferred,
    count(*) FILTER (NOT is_current AND file_id IS NOT NULL) AS superseded,
    CAST(coalesce(sum(document_count) FILTER (is_current), 0) AS BIGINT) AS documents,
    CAST(coalesce(sum(size_bytes) FILTER (is_current), 0) AS BIGINT) AS bytes,
    min(seen_at) AS first_seen_at,
    max(seen_at) AS last_seen_at
FROM files
GROUP BY source
