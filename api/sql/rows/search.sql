-- name: found
-- The matches, or enough of them to show that walking the list's own order is shorter than sorting all matches.
found as materialized (
    select d.market_id, d.user_wallet from app.market_metadata as d where true {matches} limit {most_found} + 1
),

-- name: page_listed
-- A page's rows of all markets.
select m.market_no as number, {sort_key} as sort_key
from marts.markets as m {metadata_join}
where m.is_known {filters} {beyond}
order by sort_key {direction}, m.market_no {direction}
limit {bound}

-- name: page_found
-- A page's rows of matching markets: the few matches sorted, or the list walked until enough were found.
select r.number, r.sort_key from (
    (
        select m.market_no as number, {sort_key} as sort_key
        from {found_markets}
        where (select count(*) from found) <= {most_found} and m.is_known and d.market_id is not null {filters} {beyond}
    )
    union all
    (
        select m.market_no as number, {sort_key} as sort_key
        from {from_markets}
        where (select count(*) from found) > {most_found} and m.is_known {matches} {filters} {beyond}
        order by sort_key {direction}, m.market_no {direction}
        limit {bound}
    )
) as r
order by r.sort_key {direction}, r.number {direction}
limit {bound}

-- name: found_markets
-- Markets m whose metadata d matches the search.
found as f
inner join raw.markets_seen as s on f.market_id = s.market_id
inner join marts.markets as m on s.market_no = m.market_no and f.user_wallet = m.creator_wallet
{creator_metadata}

-- name: count_listed
-- The number of markets with these filters.
(select count(*) from marts.markets as m {metadata_join} where m.is_known {filters})

-- name: count_found
-- The number of matches with these filters; not counted beyond the number that is sorted.
case when (select count(*) from found) > {most_found} then {most_found} else (
    select count(*) from {found_markets} where m.is_known and d.market_id is not null {filters}
) end

-- name: is_found_exactly
-- Whether all matches were counted.
(select count(*) from found) <= {most_found}
