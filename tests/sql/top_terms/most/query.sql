FROM top_terms('de', most := 1)
