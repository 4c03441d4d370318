# Plain comments as doxygen wants them: the first is the file's, headings are none, those in front of a line belong to what
# follows, those behind a member to it.
1s,^/\* ,/** \\file\n * ,
/\/\* ---- .* ---- \*\//d
s,^( *)/\* ,\1/** ,
s,([^ ].*) /\* ,\1 /**< ,
