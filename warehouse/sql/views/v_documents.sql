-- question: Which distinct texts are there now?
-- grain: one current text; of equal texts the earliest published, then the lowest document_id
-- example: SELECT title, published_on, copy_count FROM v_documents ORDER BY copy_count DESC, document_id LIMIT 3
-- like documents: *
SELECT documents.*
FROM documents
WHERE is_distinct
