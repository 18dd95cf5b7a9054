SELECT document_id, language, lix, title, left(text, 80) AS begins
FROM {{ source('newsmill', 'v_reading_level') }}
JOIN {{ source('newsmill', 'v_documents') }} USING (document_id, language)
QUALIFY lix > avg(lix) OVER (PARTITION BY language)
