-- question: What was loaded when, by which run?
-- grain: one commit of the ledger
-- example: SELECT commit_no, flow, document_count, documents_so_far FROM v_load_history ORDER BY commit_no DESC LIMIT 5
-- like loads: commit_no, committed_at, kind, batch_id, run_id
-- like runs: flow, orchestrator, pipeline_version
-- like loads: file_count, document_count, segment_count, reject_count
-- documents_so_far: documents of all commits up to this one, replaced ones included
SELECT
    commit_no,
    committed_at,
    loads.kind,
    batch_id,
    run_id,
    runs.flow,
    runs.orchestrator,
    runs.pipeline_version,
    file_count,
    document_count,
    segment_count,
    reject_count,
    CAST(sum(document_count) OVER (ORDER BY commit_no) AS BIGINT) AS documents_so_far
FROM loads
LEFT JOIN runs USING (run_id)
