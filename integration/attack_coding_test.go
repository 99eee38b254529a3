package integration

import "fmt"

// codingAttacks are Transfer-Encodings in every disguise that has fooled some
// server: TE.TE, where one of two sees a coding and the other one does not.
func codingAttacks() []attempt {
	const last = "0\r\n\r\n{hidden}"
	rows := []attempt{
		passed("7.1", "in other letters", postOf("Transfer-Encoding: cHuNkEd", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"),
		passed("7.1", "with blanks around", postOf("Transfer-Encoding: \t chunked \t", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"),
		passed("7.1", "without a blank", postOf("Transfer-Encoding:chunked", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"),
		passed("7.1", "the field's name in other letters", postOf("tRANSFER-eNCODING: chunked", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"),
		{name: "that Connection names, and that is not there", section: "9110 7.6.1", bytes: postOf("Connection: Transfer-Encoding", "{hidden}"),
			answers: "200 200", reaches: "POST /; GET /hidden", kept: true},
		passed("9110 5.1", "under a name that is almost its", postOf("Transfer-Encodings: chunked\r\nX-Transfer-Encoding: chunked\r\nContent-Length: 3", "abc"), "POST / [abc]"),
		refused("400", "6.1", "in HTTP/1.0", "POST / HTTP/1.0\r\nHost: {me}\r\nTransfer-Encoding: chunked\r\n\r\n"+last),
		refused("400", "6.1", "in HTTP/1.0 that is kept", "POST / HTTP/1.0\r\nHost: {me}\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"+last),
		refused("400", "6.1", "in HTTP/1.0 beside a length", "POST / HTTP/1.0\r\nHost: {me}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"+last),
		{name: "a chunked body that no field announces", section: "6.3", bytes: "POST / HTTP/1.1\r\nHost: {me}\r\n\r\n" + last,
			answers: "200 400", reaches: "POST /"},
	}
	for _, c := range []struct{ status, name, field string }{
		{"400", "chunked twice in one field", "Transfer-Encoding: chunked, chunked"},
		{"400", "chunked in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"},
		{"400", "chunked before identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"},
		{"400", "chunked before something", "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow"},
		{"400", "chunked is not the last", "Transfer-Encoding: chunked, gzip"},
		{"400", "chunked before nothing", "Transfer-Encoding: chunked,"},
		{"400", "chunked after nothing", "Transfer-Encoding: , chunked"},
		{"400", "an empty field before", "Transfer-Encoding:\r\nTransfer-Encoding: chunked"},
		{"400", "an empty field after", "Transfer-Encoding: chunked\r\nTransfer-Encoding:"},
		{"400", "an empty field alone", "Transfer-Encoding:"},
		{"501", "identity", "Transfer-Encoding: identity"},
		{"501", "identity before chunked", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"},
		{"501", "gzip", "Transfer-Encoding: gzip"},
		{"501", "gzip and chunked", "Transfer-Encoding: gzip, chunked"},
		{"501", "a coding that nobody knows", "Transfer-Encoding: cow, chunked"},
		{"501", "x before the name", "Transfer-Encoding: xchunked"},
		{"501", "x after the name", "Transfer-Encoding: chunkedx"},
		{"501", "a hyphen after the name", "Transfer-Encoding: chunked-"},
		{"501", "a name in quotation marks of one stroke", "Transfer-Encoding: 'chunked'"},
		{"400", "a name in quotation marks", `Transfer-Encoding: "chunked"`},
		{"400", "a blank within", "Transfer-Encoding: chun ked"},
		{"400", "two words", "Transfer-Encoding: chunked cow"},
		{"400", "a word before it", "Transfer-Encoding: cow chunked"},
		{"400", "a parameter", "Transfer-Encoding: chunked;q=1"},
		{"400", "an empty parameter", "Transfer-Encoding: chunked;"},
		{"400", "a parameter before a comma", "Transfer-Encoding: chunked;x, chunked"},
		{"400", "a colon in the value", "Transfer-Encoding: :chunked"},
		{"400", "a field in the value", "Transfer-Encoding: Transfer-Encoding: chunked"},
		{"400", "brackets", "Transfer-Encoding: [chunked]"},
		{"400", "braces", "Transfer-Encoding: {chunked}"},
		{"400", "a slash", "Transfer-Encoding: chunked/1"},
		{"400", "an equals sign", "Transfer-Encoding: =chunked"},
		{"400", "a letter that folds to k", "Transfer-Encoding: chun\u212aed"},
		{"400", "wide letters", "Transfer-Encoding: \uff43hunked"},
		{"400", "an e with an accent", "Transfer-Encoding: chunk\u00e9d"},
		{"400", "a no-break space before", "Transfer-Encoding: \u00a0chunked"},
		{"400", "a no-break space after", "Transfer-Encoding: chunked\u00a0"},
		{"400", "a byte order mark", "Transfer-Encoding: \ufeffchunked"},
		{"400", "a byte above 0x7f", "Transfer-Encoding: \xffchunked"},
		{"400", "0x85, a newline to some", "Transfer-Encoding: chunked\x85"},
		{"400", "0xa0, a blank to some", "Transfer-Encoding: \xa0chunked"},

		{"400", "a blank before the colon", "Transfer-Encoding : chunked"},
		{"400", "a tab before the colon", "Transfer-Encoding\t: chunked"},
		{"400", "a blank before the name", " Transfer-Encoding: chunked"},
		{"400", "a tab before the name", "\tTransfer-Encoding: chunked"},
		{"400", "a blank within the name", "Transfer- Encoding: chunked"},
		{"400", "a NUL before the colon", "Transfer-Encoding\x00: chunked"},
		{"400", "a vertical tab before the colon", "Transfer-Encoding\v: chunked"},
		{"400", "a form feed before the name", "\fTransfer-Encoding: chunked"},
		{"400", "a no-break space before the colon", "Transfer-Encoding\u00a0: chunked"},
		{"400", "a byte order mark before the name", "\ufeffTransfer-Encoding: chunked"},
		{"400", "folded behind the colon", "Transfer-Encoding:\r\n chunked"},
		{"400", "folded with a tab", "Transfer-Encoding:\r\n\tchunked"},
		{"400", "folded behind a comma", "Transfer-Encoding: identity,\r\n chunked"},
		{"400", "in the fold of another field", "X: y\r\n Transfer-Encoding: chunked"},
		{"400", "behind a bare LF", "X: y\nTransfer-Encoding: chunked"},
		{"400", "behind a bare CR", "X: y\rTransfer-Encoding: chunked"},
		{"400", "behind CR CR LF", "X: y\r\r\nTransfer-Encoding: chunked"},
		{"400", "behind LF CR", "X: y\n\rTransfer-Encoding: chunked"},
		{"400", "before a bare LF", "Transfer-Encoding: chunked\nX: y"},
		{"400", "before a bare CR", "Transfer-Encoding: chunked\rX: y"},
		{"400", "without a colon", "Transfer-Encoding chunked"},
		{"400", "with an equals sign for the colon", "Transfer-Encoding= chunked"},
	} {
		rows = append(rows, refused(c.status, "6.1", c.name, postOf(c.field, last)))
	}
	// Every control character that may be taken for a blank, at either end.
	for c := range 0x20 {
		switch c {
		case '\t', '\r', '\n':
			continue
		}
		rows = append(rows,
			refused("400", "9110 5.5", fmt.Sprintf("%#02x before the coding", c), postOf(fmt.Sprintf("Transfer-Encoding: %cchunked", c), last)),
			refused("400", "9110 5.5", fmt.Sprintf("%#02x after the coding", c), postOf(fmt.Sprintf("Transfer-Encoding: chunked%c", c), last)))
	}
	return append(rows, refused("400", "9110 5.5", "0x7f after the coding", postOf("Transfer-Encoding: chunked\x7f", last)))
}
