SELECT
    month,
    language,
    name,
    sum(documents) AS documents,
    sum(documents) / sum(sum(documents)) OVER (PARTITION BY month) AS share
FROM {{ source('newsmill', 'v_documents_monthly') }}
JOIN {{ source('newsmill', 'ref_languages') }} USING (language)
WHERE month IS NOT NULL
GROUP BY month, language, name
