-- question: Which headings do the documents have?
-- grain: one heading of a distinct current text
-- example: SELECT language, text FROM v_headings ORDER BY document_id, paragraph_no LIMIT 5
-- like documents: document_id
-- like paragraphs: paragraph_no
-- text: the heading
-- like documents: language, published_on, source
SELECT
    document_id,
    paragraph_no,
    string_agg(segments.text, ' ' ORDER BY segments.segment_no) AS text,
    any_value(v_documents.language) AS language,
    any_value(v_documents.published_on) AS published_on,
    any_value(v_documents.source) AS source
FROM segments
JOIN v_documents USING (document_id)
WHERE segments.kind = 'heading'
GROUP BY document_id, paragraph_no
