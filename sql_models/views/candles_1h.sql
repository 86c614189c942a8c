{{ larger_candles('1 hour') }}
