-- question: What does the corpus look like in FineWeb's columns?
-- grain: one distinct current text
-- example: SELECT id, date, language, token_count FROM v_fineweb ORDER BY id LIMIT 3
-- like documents: text
-- id: document_id
-- dump: newsmill- and the source
-- like documents: url
-- date: date of publication as far as it is known: YYYY-MM-DD, YYYY-MM or YYYY
-- language: ISO 639 code, und without evidence
-- language_score: language_confidence
-- token_count: word_count: no tokeniser is asked
-- file_path: uri
SELECT
    text,
    document_id AS id,
    'newsmill-' || source AS dump,
    url,
    CASE published_precision
        WHEN 'day' THEN strftime(published_on, '%Y-%m-%d')
        WHEN 'month' THEN strftime(published_on, '%Y-%m')
        WHEN 'year' THEN strftime(published_on, '%Y')
    END AS date,
    language,
    language_confidence AS language_score,
    word_count AS token_count,
    uri AS file_path
FROM v_documents
