FROM top_terms('de', since := '2019-02-01', until := '2019-02-28')
