-- question: Which runs of n words does a text have?
-- grain: a list of texts, in order; empty where the text has fewer words
-- arguments: words, n
-- example: SELECT gram, count(*) AS times FROM (SELECT unnest(ngrams(text, 2)) AS gram FROM v_documents WHERE language = 'de') AS grams GROUP BY gram ORDER BY times DESC, gram LIMIT 5
list_transform(
    range(1, greatest(len(regexp_extract_all(lower(words), '[\p{L}\p{M}\p{N}]+')) - n + 2, 1)),
    lambda first: array_to_string(
        list_slice(regexp_extract_all(lower(words), '[\p{L}\p{M}\p{N}]+'), first, first + n - 1), ' '
    )
)
