-- Latin, Greek and Cyrillic script becomes ASCII. Other scripts have no spelling that is both short and
-- right, so a text that would lose most of it gets a part of its SHA-256 instead: readable or not, the same text
-- has the same slug. NFKD takes accents apart, and turns wide and ligature forms into plain ones.
create or replace function app.slug_of(p_text text, p_word text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$
    with spelled as (
        select
            lower(string_agg(coalesce(m.latin, c.sign), '' order by c.place) collate "C") as spelling
        from string_to_table(
            regexp_replace(normalize(p_text, NFKD), '[\u0300-\u036f''\u2019\u02bc\u0027]', '', 'g'), null
        ) with ordinality as c (sign, place)
        left join (
            values
            ('ß', 'ss'), ('ẞ', 'ss'), ('æ', 'ae'), ('Æ', 'ae'), ('œ', 'oe'), ('Œ', 'oe'), ('ø', 'o'), ('Ø', 'o'),
            ('đ', 'd'), ('Đ', 'd'), ('ð', 'd'), ('Ð', 'd'), ('þ', 'th'), ('Þ', 'th'), ('ł', 'l'), ('Ł', 'l'),
            ('ħ', 'h'), ('Ħ', 'h'), ('ı', 'i'), ('ŋ', 'ng'), ('Ŋ', 'ng'), ('ə', 'e'), ('Ə', 'e'),
            ('α', 'a'), ('β', 'v'), ('γ', 'g'), ('δ', 'd'), ('ε', 'e'), ('ζ', 'z'), ('η', 'i'), ('θ', 'th'),
            ('ι', 'i'), ('κ', 'k'), ('λ', 'l'), ('μ', 'm'), ('ν', 'n'), ('ξ', 'x'), ('ο', 'o'), ('π', 'p'),
            ('ρ', 'r'), ('σ', 's'), ('ς', 's'), ('τ', 't'), ('υ', 'y'), ('φ', 'f'), ('χ', 'ch'), ('ψ', 'ps'), ('ω', 'o'),
            ('Α', 'a'), ('Β', 'v'), ('Γ', 'g'), ('Δ', 'd'), ('Ε', 'e'), ('Ζ', 'z'), ('Η', 'i'), ('Θ', 'th'),
            ('Ι', 'i'), ('Κ', 'k'), ('Λ', 'l'), ('Μ', 'm'), ('Ν', 'n'), ('Ξ', 'x'), ('Ο', 'o'), ('Π', 'p'),
            ('Ρ', 'r'), ('Σ', 's'), ('Τ', 't'), ('Υ', 'y'), ('Φ', 'f'), ('Χ', 'ch'), ('Ψ', 'ps'), ('Ω', 'o'),
            ('а', 'a'), ('б', 'b'), ('в', 'v'), ('г', 'g'), ('д', 'd'), ('е', 'e'), ('ж', 'zh'), ('з', 'z'),
            ('и', 'i'), ('к', 'k'), ('л', 'l'), ('м', 'm'), ('н', 'n'), ('о', 'o'), ('п', 'p'), ('р', 'r'),
            ('с', 's'), ('т', 't'), ('у', 'u'), ('ф', 'f'), ('х', 'kh'), ('ц', 'ts'), ('ч', 'ch'), ('ш', 'sh'),
            ('щ', 'shch'), ('ъ', ''), ('ы', 'y'), ('ь', ''), ('э', 'e'), ('ю', 'yu'), ('я', 'ya'),
            ('є', 'ie'), ('і', 'i'), ('ґ', 'g'), ('ј', 'j'), ('љ', 'lj'), ('њ', 'nj'), ('ћ', 'c'), ('ђ', 'dj'),
            ('џ', 'dz'), ('ѕ', 'dz'), ('ө', 'o'), ('ү', 'u'), ('қ', 'q'), ('ң', 'ng'), ('ә', 'a'), ('ғ', 'gh'),
            ('А', 'a'), ('Б', 'b'), ('В', 'v'), ('Г', 'g'), ('Д', 'd'), ('Е', 'e'), ('Ж', 'zh'), ('З', 'z'),
            ('И', 'i'), ('К', 'k'), ('Л', 'l'), ('М', 'm'), ('Н', 'n'), ('О', 'o'), ('П', 'p'), ('Р', 'r'),
            ('С', 's'), ('Т', 't'), ('У', 'u'), ('Ф', 'f'), ('Х', 'kh'), ('Ц', 'ts'), ('Ч', 'ch'), ('Ш', 'sh'),
            ('Щ', 'shch'), ('Ъ', ''), ('Ы', 'y'), ('Ь', ''), ('Э', 'e'), ('Ю', 'yu'), ('Я', 'ya'),
            ('Є', 'ie'), ('І', 'i'), ('Ґ', 'g'), ('Ј', 'j'), ('Љ', 'lj'), ('Њ', 'nj'), ('Ћ', 'c'), ('Ђ', 'dj'),
            ('Џ', 'dz'), ('Ѕ', 'dz'), ('Ө', 'o'), ('Ү', 'u'), ('Қ', 'q'), ('Ң', 'ng'), ('Ә', 'a'), ('Ғ', 'gh')
        ) as m (sign, latin) on c.sign = m.sign
    ),

    counted as (
        select
            trim(both '-' from regexp_replace(s.spelling, '[^abcdefghijklmnopqrstuvwxyz0123456789]+', '-', 'g')) as words,
            length(regexp_replace(s.spelling, '[^abcdefghijklmnopqrstuvwxyz0123456789]+', '', 'g')) as ascii_length,
            -- Punctuation of any script may be lost; words, digits and pictures may not.
            length(regexp_replace(s.spelling, '[\u0001-\u00bf\u2000-\u206f\u20a0-\u20cf\u3000-\u303f]+', '', 'g')) as lost_length
        from spelled as s
    ),

    cut as (
        -- At most 60 characters; a longer text ends with a whole word.
        select
            case
                when length(c.words) <= 60 then c.words
                else trim(both '-' from coalesce(substring(left(c.words, 61) from '^(.{20,})-'), left(c.words, 60)))
            end as words,
            c.ascii_length >= 3 and c.ascii_length >= 2 * c.lost_length as is_readable
        from counted as c
    )

    select
        case
            when
                c.is_readable
                -- Never an id, the slug of a market without a title, or a word that a frontend uses as a path of its own.
                and c.words !~ '^(market-)?[0-9a-f]{32,}$'
                and c.words <> all(array[
                    'about', 'account', 'admin', 'all', 'api', 'assets', 'batch', 'by-slug', 'categories', 'category',
                    'console', 'create', 'dashboard', 'docs', 'edit', 'event', 'events', 'favicon-ico', 'feed', 'health',
                    'help', 'home', 'image', 'images', 'index', 'leaderboard', 'legal', 'live', 'login', 'logout', 'market',
                    'markets', 'metrics', 'moderation', 'new', 'null', 'openapi-json', 'portfolio', 'privacy', 'profile',
                    'ready', 'robots-txt', 'search', 'settings', 'sitemap-xml', 'slug', 'slugs', 'static', 'status',
                    'terms', 'trending', 'undefined', 'user', 'users', 'wallet'
                ])
                then c.words
            else
                concat_ws(
                    '-', coalesce(nullif(c.words, ''), p_word), left(encode(sha256(convert_to(p_text, 'UTF8')), 'hex'), 8)
                )
        end
    from cut as c
$$;
comment on function app.slug_of is
'Returns the slug of a text: words of a-z and 0-9 with hyphens between them, at most 69 characters. p_word stands for a text without any.';
