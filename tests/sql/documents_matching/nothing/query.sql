FROM documents_matching('')
