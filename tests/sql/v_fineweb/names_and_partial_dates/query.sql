FROM v_fineweb ORDER BY id
