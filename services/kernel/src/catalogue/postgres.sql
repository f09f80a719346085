-- Each object of the schema, and all that makes it what it is. Nothing in it tells the schema's own name, or an object's number.
WITH relation AS (
    SELECT * FROM pg_class WHERE relnamespace = current_schema()::regnamespace
), kind (letter, word) AS (
    VALUES ('r', 'table'), ('p', 'table'), ('v', 'view'), ('m', 'view'), ('f', 'foreign table'), ('S', 'sequence')
)
SELECT word || ' ' || relname AS object, concat_ws(
    '|', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relispartition, reloptions::text,
    CASE WHEN word = 'view' THEN pg_get_viewdef(oid, true) END,
    (
        SELECT string_agg(
            concat_ws(
                ' ', attname, format_type(atttypid, atttypmod), attnotnull, attidentity::text, attgenerated::text,
                (SELECT collname FROM pg_collation WHERE oid = attcollation), pg_get_expr(adbin, adrelid)
            ), ', ' ORDER BY attnum
        )
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
    )
) AS definition
FROM relation JOIN kind ON letter = relkind::text
UNION ALL
SELECT 'index ' || it.relname || ' on ' || relation.relname,
    concat_ws('|', pg_get_indexdef(it.oid, 0, true), indisunique, indisprimary, indisvalid, indisready, indislive)
FROM pg_index JOIN relation ON relation.oid = indrelid JOIN pg_class it ON it.oid = indexrelid
UNION ALL
SELECT 'constraint ' || conname || ' on ' || relname, concat_ws(
    '|', pg_get_constraintdef(it.oid, true), convalidated,
    (SELECT string_agg(tgenabled::text, '' ORDER BY tgfoid) FROM pg_trigger WHERE tgconstraint = it.oid)
)
FROM pg_constraint it JOIN relation ON relation.oid = conrelid WHERE contype <> 'n'
UNION ALL
SELECT 'trigger ' || tgname || ' on ' || relname, concat_ws('|', pg_get_triggerdef(it.oid, true), tgenabled::text)
FROM pg_trigger it JOIN relation ON relation.oid = tgrelid
    JOIN pg_proc ON pg_proc.oid = tgfoid
WHERE NOT (tgisinternal AND proname LIKE 'RI@_FKey@_%' ESCAPE '@' AND pronamespace = 'pg_catalog'::regnamespace)
UNION ALL
SELECT 'rule ' || rulename || ' on ' || relname, concat_ws('|', pg_get_ruledef(it.oid, true), ev_enabled::text)
FROM pg_rewrite it JOIN relation ON relation.oid = ev_class WHERE rulename <> '_RETURN' OR relkind NOT IN ('v', 'm')
UNION ALL
SELECT 'policy ' || polname || ' on ' || relname,
    concat_ws('|', polcmd::text, polpermissive, polroles::text, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
FROM pg_policy JOIN relation ON relation.oid = polrelid
UNION ALL
SELECT 'heir ' || inhrelid::regclass || ' of ' || relname, ''
FROM pg_inherits JOIN relation ON relation.oid = inhparent WHERE relkind <> 'i' AND relkind <> 'I'
UNION ALL
SELECT 'function ' || proname || '(' || pg_get_function_identity_arguments(oid) || ')',
    concat_ws('|', prokind::text, prosrc, probin, prosecdef)
FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
UNION ALL
SELECT 'operator ' || oprname || ' of ' || concat_ws(', ', oprleft::regtype, oprright::regtype), oprcode::text
FROM pg_operator WHERE oprnamespace = current_schema()::regnamespace
UNION ALL
SELECT 'type ' || typname, concat_ws('|', typtype::text, typbasetype::regtype, typnotnull, typdefault)
FROM pg_type WHERE typnamespace = current_schema()::regnamespace AND typtype <> 'c' AND typcategory <> 'A'
