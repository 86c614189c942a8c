{#
    A view that is replaced rather than dropped: dbt's own `view` drops CASCADE on every run, and a query at that
    moment fails with "relation does not exist". Only a change of columns that Postgres cannot replace drops it, with its
    dependents. A folded mart of an earlier release that is a view now is replaced by folds.replace_by_view.
#}
{% materialization replaced_view, adapter='postgres' %}
    {%- set target_relation = this.incorporate(type='view') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- do keeps_contract(sql, fold_columns()) -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- if existing is not none and existing.is_table and is_trial() -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- elif existing is not none and existing.is_table -%}
        {%- do run_query("select folds.replace_by_view('" ~ this.identifier ~ "', $replacing$create view " ~ target_relation ~ " as (" ~ sql ~ ")$replacing$)") -%}
    {%- endif -%}
    {%- call statement('main') -%}
        do $do$
        begin
            create or replace view {{ target_relation }} as (
                {{ sql }}
            );
        exception when invalid_table_definition then
            drop view {{ target_relation }} cascade;
            create view {{ target_relation }} as (
                {{ sql }}
            );
        end
        $do$
    {%- endcall -%}
    {%- do apply_grants(target_relation, config.get('grants'), should_revoke=False) -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
