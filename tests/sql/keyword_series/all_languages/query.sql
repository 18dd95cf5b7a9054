FROM keyword_series('Winter')
