{{ larger_candles('1 day') }}
