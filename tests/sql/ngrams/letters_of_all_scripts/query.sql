SELECT ngrams('Die Brücke bleibt zu.', 2) AS pairs, ngrams('Die Brücke', 3) AS none, ngrams('मौसम।', 1) AS words
