FROM keyword_series('brücke', lang := 'de')
