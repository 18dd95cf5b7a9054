-- question: What are the sentences and other translation units, and where do they stand?
-- grain: one translation unit, a sentence in most cases
-- example: SELECT segment_no, kind, text FROM segments WHERE document_id = (SELECT min(document_id) FROM documents) ORDER BY segment_no LIMIT 3
-- like segments: *
SELECT
    segment_id, document_id, paragraph_no, segment_no, kind, text, separator, char_start, char_end,
    -- Hashed only where it is asked for.
    left(sha256(text), 32) AS text_id,
    language, published_on
FROM (
    SELECT
        document_id || '-' || printf('%05d', segment_no) AS segment_id,
        document_id,
        place.paragraph_no AS paragraph_no,
        segment_no,
        place.kind AS kind,
        -- Bytes are cut out seven times as fast as characters.
        decode(array_slice(encode(text), place.byte_start + 1, place.byte_start + place.byte_count)) AS text,
        decode(
            array_slice(
                encode(text),
                place.byte_start + place.byte_count + 1,
                place.byte_start + place.byte_count + place.separator_count
            )
        ) AS separator,
        CAST(place.char_start AS BIGINT) AS char_start,
        CAST(place.char_start + place.char_count AS BIGINT) AS char_end,
        language,
        published_on
    FROM (
        SELECT
            document_id, text, language, published_on,
            unnest(segment_places) AS place,
            CAST(generate_subscripts(segment_places, 1) - 1 AS INTEGER) AS segment_no
        FROM documents
    ) AS placed
) AS cut
