-- question: Which files changed, and what took their place?
-- grain: one content that is no longer the newest of its uri
-- example: SELECT source, uri, replaced_at FROM v_superseded_files ORDER BY replaced_at DESC, uri LIMIT 10
-- like files: file_id, root, uri, source, seen_at, document_count
-- replaced_by: file_id of the content that stands at the uri now
-- replaced_at: when that was found there
SELECT
    old.file_id,
    old.root,
    old.uri,
    old.source,
    old.seen_at,
    old.document_count,
    new.file_id AS replaced_by,
    new.seen_at AS replaced_at
FROM files AS old
JOIN files AS new ON new.root = old.root AND new.uri = old.uri AND new.is_current
WHERE NOT old.is_current AND old.file_id IS NOT NULL
