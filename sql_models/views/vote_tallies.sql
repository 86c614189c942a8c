-- Counts ballots, each wallet once. The three classes add up to the merged counts; keepers compare them.
{{ config(post_hook="{{ write_tallies_as_of() }}") }}

{{ tallies(
    ref('ballots'), ref('markets'), source('ops', 'settings'), source('raw', 'events'), source('raw', 'feed'),
    source('ops', 'gap_transactions'), source('raw', 'transactions')
) }}
