-- question: What is quoted, and where?
-- grain: one passage between quotation marks of a distinct current text, inside one paragraph
-- example: SELECT language, quote FROM v_quotes ORDER BY word_count DESC, document_id, quote_no LIMIT 3
-- like documents: document_id, language, published_on, source
-- quote_no: number of the passage in its document, from 0
-- quote: what stands between the marks
-- word_count: words of it
SELECT
    document_id,
    language,
    published_on,
    source,
    quote_no - 1 AS quote_no,
    quote,
    CAST(len(regexp_extract_all(quote, '[\p{L}\p{N}]+')) AS BIGINT) AS word_count
FROM (
    SELECT
        document_id,
        language,
        published_on,
        source,
        generate_subscripts(marked, 1) AS quote_no,
        unnest(list_transform(marked, lambda found: substring(found, 2, length(found) - 2))) AS quote
    FROM (
        SELECT
            document_id,
            language,
            published_on,
            source,
            -- German, English, French, German as printed in books, Japanese and Chinese, typewriter.
            regexp_extract_all(
                text,
                '„[^„“”\n]{2,}[“”]|“[^“”\n]{2,}”|«[^«»\n]{2,}»|»[^«»\n]{2,}«|「[^「」\n]{2,}」|"[^"\n]{2,}"'
            ) AS marked
        FROM v_documents
    ) AS texts
    WHERE len(marked) > 0
) AS quotes
