-- question: What do captions say, and whose pictures are they under?
-- grain: one caption of a distinct current text
-- example: SELECT credit, text FROM v_captions WHERE credit IS NOT NULL ORDER BY document_id, paragraph_no LIMIT 5
-- like documents: document_id
-- like paragraphs: paragraph_no, credit
-- text: the caption
-- like documents: language, published_on, source
SELECT
    document_id,
    paragraph_no,
    any_value(paragraphs.credit) AS credit,
    string_agg(segments.text, ' ' ORDER BY segments.segment_no) AS text,
    any_value(v_documents.language) AS language,
    any_value(v_documents.published_on) AS published_on,
    any_value(v_documents.source) AS source
FROM segments
JOIN v_documents USING (document_id)
JOIN paragraphs USING (document_id, paragraph_no)
WHERE segments.kind = 'caption'
GROUP BY document_id, paragraph_no
