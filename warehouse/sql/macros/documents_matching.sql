-- question: Which texts contain a word or phrase, and in which words around it?
-- grain: one distinct current text that contains it, capitals aside
-- arguments: keyword, lang := NULL
-- example: SELECT published_on, hits, context FROM documents_matching('winter') LIMIT 3
-- like documents: document_id, language, published_on, source, title
-- hits: how often it stands there
-- context: its first place, with up to 40 characters on each side
SELECT
    document_id,
    language,
    published_on,
    source,
    title,
    CAST((length(lower(text)) - length(replace(lower(text), lower(keyword), ''))) // length(keyword) AS BIGINT) AS hits,
    regexp_replace(
        substring(text, greatest(1, strpos(lower(text), lower(keyword)) - 40), length(keyword) + 80), '\s+', ' ', 'g'
    ) AS context
FROM v_documents
WHERE length(keyword) > 0 AND contains(lower(text), lower(keyword)) AND (lang IS NULL OR language = lang)
ORDER BY hits DESC, document_id
