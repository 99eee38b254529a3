package integration

import "strings"

// refused is an attack that is answered once, after which the connection ends.
// Nothing of it may reach the target.
func refused(status, section, name, bytes string) attempt {
	return attempt{name: name, section: section, bytes: bytes, answers: status}
}

// passed is one that is no attack after all: it reaches the target, in one
// reading, and the connection is kept.
func passed(section, name, bytes, reaches string) attempt {
	return attempt{name: name, section: section, bytes: bytes, answers: "200", reaches: reaches, kept: true}
}

// postOf is a POST of a body with some fields.
func postOf(fields, body string) string {
	return "POST / HTTP/1.1\r\nHost: {me}\r\n" + fields + "\r\n\r\n" + body
}

// getOf is a GET with some fields.
func getOf(fields string) string {
	return "GET / HTTP/1.1\r\nHost: {me}\r\n" + fields + "\r\n\r\n"
}

// lengthAttacks are about Content-Length, alone and beside Transfer-Encoding.
var lengthAttacks = []attempt{
	refused("400", "6.3", "CL.TE", postOf("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG{hidden}")),
	refused("400", "6.3", "TE.CL", postOf("Transfer-Encoding: chunked\r\nContent-Length: 4", "5c\r\n{hidden}\r\n0\r\n\r\n")),
	refused("400", "6.3", "CL.TE with a length of 0", postOf("Content-Length: 0\r\nTransfer-Encoding: chunked", "0\r\n\r\n{hidden}")),
	refused("400", "6.3", "CL.TE whose two readings agree", postOf("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
	refused("400", "6.3", "CL.TE in other letters", postOf("content-length: 6\r\nTRANSFER-ENCODING: Chunked", "0\r\n\r\nG{hidden}")),
	refused("400", "6.3", "CL.TE in a GET", getOf("Content-Length: 6\r\nTransfer-Encoding: chunked")+"0\r\n\r\nG{hidden}"),
	refused("400", "6.3", "CL beside a coding that is unknown", postOf("Content-Length: 3\r\nTransfer-Encoding: gzip", "abc{hidden}")),
	refused("400", "6.3", "CL beside identity", postOf("Content-Length: 3\r\nTransfer-Encoding: identity", "abc{hidden}")),
	refused("400", "6.3", "CL beside an empty coding", postOf("Content-Length: 3\r\nTransfer-Encoding:", "abc{hidden}")),
	refused("400", "6.3", "CL twice beside TE", postOf("Content-Length: 3\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n{hidden}")),
	refused("400", "6.3", "CL that Connection names beside TE", postOf("Connection: Content-Length\r\nContent-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG{hidden}")),
	refused("400", "6.3", "TE that Connection names beside CL", postOf("Connection: Transfer-Encoding\r\nContent-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG{hidden}")),

	refused("400", "6.3", "two lengths, the first 0", postOf("Content-Length: 0\r\nContent-Length: 44", "{hidden}")),
	refused("400", "6.3", "two lengths, the second 0", postOf("Content-Length: 44\r\nContent-Length: 0", "{hidden}")),
	refused("400", "6.3", "two lengths of one number in two forms", postOf("Content-Length: 3\r\nContent-Length: 03", "abc{hidden}")),
	refused("400", "6.3", "two lengths with another field between", postOf("Content-Length: 3\r\nX: y\r\nContent-Length: 4", "abcd{hidden}")),
	refused("400", "6.3", "three lengths, the last differs", postOf("Content-Length: 3\r\nContent-Length: 3\r\nContent-Length: 0", "abc{hidden}")),
	refused("400", "6.3", "a list of equal lengths", postOf("Content-Length: 3, 3", "abc{hidden}")),
	refused("400", "6.3", "a list of lengths that differ", postOf("Content-Length: 3, 0", "abc{hidden}")),
	refused("400", "6.3", "a list that ends in a comma", postOf("Content-Length: 3,", "abc{hidden}")),
	refused("400", "6.3", "a list that begins with a comma", postOf("Content-Length: ,3", "abc{hidden}")),
	refused("400", "6.3", "two lengths of which one is a list", postOf("Content-Length: 3\r\nContent-Length: 3, 3", "abc{hidden}")),
	passed("9110 8.6", "the same length twice", postOf("Content-Length: 3\r\nContent-Length: 3", "abc"), "POST / [abc]"),
	passed("9110 8.6", "the same length twice, in other letters", postOf("Content-Length: 3\r\ncontent-length:  3 ", "abc"), "POST / [abc]"),

	refused("400", "9110 8.6", "+", postOf("Content-Length: +3", "abc{hidden}")),
	refused("400", "9110 8.6", "-", postOf("Content-Length: -3", "abc{hidden}")),
	refused("400", "9110 8.6", "-0", postOf("Content-Length: -0", "{hidden}")),
	refused("400", "9110 8.6", "hexadecimal", postOf("Content-Length: 0x3", "abc{hidden}")),
	refused("400", "9110 8.6", "hexadecimal without a prefix", postOf("Content-Length: a", "abcdefghij{hidden}")),
	refused("400", "9110 8.6", "octal", postOf("Content-Length: 0o3", "abc{hidden}")),
	refused("400", "9110 8.6", "a fraction", postOf("Content-Length: 3.0", "abc{hidden}")),
	refused("400", "9110 8.6", "an exponent", postOf("Content-Length: 3e0", "abc{hidden}")),
	refused("400", "9110 8.6", "an underscore", postOf("Content-Length: 1_0", "abcdefghij{hidden}")),
	refused("400", "9110 8.6", "a blank within", postOf("Content-Length: 1 0", "abcdefghij{hidden}")),
	refused("400", "9110 8.6", "a tab within", postOf("Content-Length: 1\t0", "abcdefghij{hidden}")),
	refused("400", "9110 8.6", "quotes", postOf(`Content-Length: "3"`, "abc{hidden}")),
	refused("400", "9110 8.6", "a word", postOf("Content-Length: three", "abc{hidden}")),
	refused("400", "9110 8.6", "nothing", postOf("Content-Length:", "{hidden}")),
	refused("400", "9110 8.6", "blanks alone", postOf("Content-Length: \t ", "{hidden}")),
	refused("400", "9110 8.6", "a semicolon", postOf("Content-Length: 3;x", "abc{hidden}")),
	refused("400", "9110 8.6", "digits of another script", postOf("Content-Length: \u0663", "abc{hidden}")),
	refused("400", "9110 8.6", "a wide digit", postOf("Content-Length: \uff13", "abc{hidden}")),
	refused("400", "9110 8.6", "a no-break space", postOf("Content-Length: \u00a03", "abc{hidden}")),
	refused("400", "9110 8.6", "2^63", postOf("Content-Length: 9223372036854775808", "{hidden}")),
	refused("400", "9110 8.6", "2^64", postOf("Content-Length: 18446744073709551616", "{hidden}")),
	refused("400", "9110 8.6", "2^64+3", postOf("Content-Length: 18446744073709551619", "abc{hidden}")),
	refused("400", "9110 8.6", "a thousand digits", postOf("Content-Length: "+strings.Repeat("9", 1000), "{hidden}")),
	passed("9110 8.6", "leading zeros", postOf("Content-Length: 0000000000000000000003", "abc"), "POST / [abc]"),
	passed("9110 8.6", "blanks around", postOf("Content-Length: \t 3 \t", "abc"), "POST / [abc]"),

	// CL.0 and 0.CL: what a method has to do with a body. It is framed alike for
	// all of them.
	passed("9110 9.3.1", "CL.0, a GET with a body", getOf("Content-Length: 4")+"body", "GET / [body]"),
	passed("9110 9.3.1", "TE.0, a GET in chunks", getOf("Transfer-Encoding: chunked")+"4\r\nbody\r\n0\r\n\r\n", "GET / [body]"),
	passed("9110 9.3.2", "CL.0, a HEAD with a body", "HEAD / HTTP/1.1\r\nHost: {me}\r\nContent-Length: 4\r\n\r\nbody", "HEAD / [body]"),
	passed("9110 9.3.5", "CL.0, a DELETE with a body", "DELETE / HTTP/1.1\r\nHost: {me}\r\nContent-Length: 4\r\n\r\nbody", "DELETE / [body]"),
	passed("9110 9.3.7", "CL.0, OPTIONS with a body", "OPTIONS / HTTP/1.1\r\nHost: {me}\r\nContent-Length: 4\r\n\r\nbody", "OPTIONS / [body]"),
	passed("9110 9.3.7", "TE.0, OPTIONS in chunks", "OPTIONS / HTTP/1.1\r\nHost: {me}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "OPTIONS / [body]"),
	passed("9110 9.3.8", "CL.0, TRACE with a body", "TRACE / HTTP/1.1\r\nHost: {me}\r\nContent-Length: 4\r\n\r\nbody", "TRACE / [body]"),
	passed("9110 9.1", "CL.0, a method that nobody knows", "BREW / HTTP/1.1\r\nHost: {me}\r\nContent-Length: 4\r\n\r\nbody", "BREW / [body]"),
	passed("6.3", "0.CL, no length and no body", "POST / HTTP/1.1\r\nHost: {me}\r\n\r\n", "POST /"),
	{name: "0.CL, a body without a length is the next request", section: "6.3", answers: "200 400", reaches: "POST /",
		bytes: "POST / HTTP/1.1\r\nHost: {me}\r\n\r\n{\"a\": 1}\r\n"},
	passed("6.3", "a hidden request within the length", postOf("Content-Length: 43", "GET /hidden HTTP/1.1\r\nHost: elsewhere.x\r\n\r\n"),
		"POST / [GET /hidden HTTP/1.1\r\nHost: elsewhere.x\r\n\r\n]"),
	passed("9110 7.6.1", "a length that Connection names", postOf("Connection: Content-Length\r\nContent-Length: 3", "abc"), "POST / [abc]"),
	passed("9110 7.6.1", "a length that Connection names beside close", postOf("Connection: keep-alive, content-length\r\nContent-Length: 3", "abc"), "POST / [abc]"),
	passed("9110 8.6", "a length in another field", postOf("X-Content-Length: 0\r\nContent-Length: 3", "abc"), "POST / [abc]"),
	passed("9110 5.1", "a length with an underscore does not go on", postOf("Content_Length: 0\r\nContent-Length: 3", "abc"), "POST / [abc]"),
	passed("9110 5.1", "a coding with an underscore does not go on", postOf("Transfer_Encoding: chunked\r\nContent-Length: 3", "abc"), "POST / [abc]"),
}
