-- question: Which documents are current, equal texts each counted?
-- grain: one document of a file that is the newest content of its uri
-- example: SELECT source, count(*) AS documents FROM v_documents_current GROUP BY source ORDER BY source
-- like documents: *
SELECT documents.*
FROM documents
WHERE copy_count > 0
