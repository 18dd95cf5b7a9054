-- question: In which encodings do the sources deliver?
-- grain: one encoding and source of current files that were decoded
-- example: FROM v_encodings ORDER BY files DESC, encoding, source
-- like files: encoding, source
-- files: current files in it
-- least_confidence: lowest encoding_confidence among them
-- bytes: their size
SELECT
    encoding,
    source,
    count(*) AS files,
    min(encoding_confidence) AS least_confidence,
    CAST(sum(size_bytes) AS BIGINT) AS bytes
FROM files
WHERE is_current AND encoding IS NOT NULL
GROUP BY ALL
