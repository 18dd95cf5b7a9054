FROM documents_matching('brücke')
