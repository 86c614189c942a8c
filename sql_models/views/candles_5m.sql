{{ larger_candles('5 minutes') }}
