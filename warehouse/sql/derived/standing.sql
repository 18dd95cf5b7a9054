-- Where the stored copy_count and is_distinct of documents with touched texts are not what they should be, and what
-- they should be.  touched_contents says which contents are current; of all others the stored copy_count does.
SELECT row_place, copy_count, is_distinct
FROM (
    SELECT
        row_place,
        stored_count,
        stored_distinct,
        CASE WHEN is_current THEN count(*) FILTER (is_current) OVER same_text ELSE 0 END AS copy_count,
        is_current AND row_number() OVER (
            PARTITION BY text_id ORDER BY is_current DESC, published_on NULLS LAST, document_id
        ) = 1 AS is_distinct
    FROM (
        SELECT
            documents.rowid AS row_place,
            document_id,
            text_id,
            published_on,
            copy_count AS stored_count,
            documents.is_distinct AS stored_distinct,
            coalesce(touched_contents.is_current, copy_count > 0) AS is_current
        FROM documents
        SEMI JOIN touched_texts ON hash(documents.text_id) = touched_texts.text_hash
        LEFT JOIN touched_contents ON touched_contents.file_id = documents.file_id
    ) AS touched
    WINDOW same_text AS (PARTITION BY text_id)
) AS wanted
WHERE copy_count <> stored_count OR is_distinct <> stored_distinct
