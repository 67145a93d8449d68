def word_cutter(s): raise NotImplementedError
def continues_word(a,b,c): raise NotImplementedError
