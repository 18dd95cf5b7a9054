-- question: Which distinct texts are there now?
-- grain: one current text; of equal texts the earliest published, then the lowest document_id
-- example: SELECT title, published_on, copy_count FROM v_documents ORDER BY copy_count DESC LIMIT 10
-- like documents: *
-- copy_count: current documents that have this very text, this one included
SELECT
    documents.*,
    coalesce(text_copies.copy_count, 1) AS copy_count
FROM documents
ANTI JOIN hidden_documents ON hidden_documents.document_id = documents.document_id
LEFT JOIN text_copies ON text_copies.text_id = documents.text_id
