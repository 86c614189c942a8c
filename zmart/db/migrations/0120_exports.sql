-- Exported files that were verified (docs/files.md).
create table ops.exports (
    export_no bigint generated always as identity primary key,
    location text collate "C" not null,
    epoch uuid not null,
    dataset text collate "C" not null check (dataset in ('log', 'marts')),
    first_seq bigint not null,
    last_seq bigint not null,
    rows bigint not null,
    bytes bigint not null,
    manifest_path text collate "C" not null,
    manifest_sha256 text collate "C" not null check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    chain_value text collate "C" check (chain_value ~ '^[0-9a-f]{64}$'),
    files jsonb not null,
    exported_at timestamptz not null,
    verified_at timestamptz not null default clock_timestamp(),
    damaged_at timestamptz,
    damage text,
    unique (location, epoch, dataset, first_seq, last_seq),
    constraint exports_check check (first_seq <= last_seq),
    constraint exports_damage_check check ((damaged_at is null) = (damage is null))
);
comment on table ops.exports is
'Holds one row per published segment of exported files. It is written after the files were read back and equal.';
comment on column ops.exports.location is 'The folder or s3:// address, as EXPORT_URL names it.';
comment on column ops.exports.first_seq is 'log: its first entry. marts: the same as last_seq, the entry up to which the log is in them.';
comment on column ops.exports.manifest_path is 'The path of the manifest below the location.';
comment on column ops.exports.chain_value is 'The value of the chain at last_seq, where an append ends there.';
comment on column ops.exports.files is 'The files: path, table, rows, bytes and SHA-256 of each.';
comment on column ops.exports.verified_at is 'When its files were last read and had the digests of the manifest.';
comment on column ops.exports.damaged_at is 'When a file was found missing or different. Null while all are as they were published.';
grant select on ops.exports to zmart_ingest, zmart_keeper, zmart_api, analyst;
