package integration

import "strings"

// chunks is a POST in chunks.
func chunks(body string) string { return postOf("Transfer-Encoding: chunked", body) }

// broken is a chunked body that is refused once its head has gone: a target that
// is streamed to may see that, but never an end.
func broken(section, name, body string) attempt {
	return attempt{name: name, section: section, bytes: chunks(body), answers: "400", reaches: "POST / …"}
}

// chunkAttacks are about the chunked coding, its extensions and trailers.
var chunkAttacks = []attempt{
	passed("7.1", "a size in capitals", chunks("A\r\n0123456789\r\n0\r\n\r\n"), "POST / [0123456789]"),
	passed("7.1", "a size with zeros", chunks("0003\r\nabc\r\n0000\r\n\r\n"), "POST / [abc]"),
	passed("7.1", "a last chunk alone", chunks("0\r\n\r\n"), "POST /"),
	passed("7.1", "a hidden request within a chunk", chunks("23\r\nGET /hidden HTTP/1.1\r\nHost: x.x\r\n\r\n\r\n0\r\n\r\n"),
		"POST / [GET /hidden HTTP/1.1\r\nHost: x.x\r\n\r\n]"),
	passed("7.1.1", "an extension", chunks("3;name=value\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"),
	passed("7.1.1", "an extension in quotation marks", chunks("3;a=\"b;c\"\r\nabc\r\n0;x\r\n\r\n"), "POST / [abc]"),
	passed("7.1.1", "an empty extension", chunks("3;\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"),
	passed("7.1.1", "an extension that looks like a size", chunks("3;5\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"),
	passed("7.1.2", "a trailer", postOf("Trailer: X-T\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"), "POST / [abc+X-T: 1]"),
	passed("9110 6.5.1", "a trailer with a length", chunks("3\r\nabc\r\n0\r\nContent-Length: 0\r\n\r\n"), "POST / [abc]"),
	passed("9110 6.5.1", "a trailer with a coding", chunks("3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), "POST / [abc]"),
	passed("9110 6.5.1", "a trailer with a Host", chunks("3\r\nabc\r\n0\r\nHost: elsewhere.example\r\n\r\n"), "POST / [abc]"),
	passed("9110 6.5.1", "a trailer with what the proxy vouches for", chunks("3\r\nabc\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\nx-request-id: 1\r\n\r\n"), "POST / [abc]"),
	passed("9110 6.5.1", "a trailer with its underscored twin", chunks("3\r\nabc\r\n0\r\nX_Forwarded_For: 1.2.3.4\r\nContent_Length: 9\r\n\r\n"), "POST / [abc]"),
	passed("9110 6.5.1", "a trailer with credentials", chunks("3\r\nabc\r\n0\r\nAuthorization: Basic x\r\nCookie: a=b\r\n\r\n"), "POST / [abc]"),
	passed("9110 7.6.1", "a trailer about the connection", chunks("3\r\nabc\r\n0\r\nConnection: close\r\nUpgrade: h2c\r\n\r\n"), "POST / [abc]"),

	refused("400", "7.1", "no size", chunks("\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a size that is no number", chunks("x\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "0x", chunks("0x3\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a size with +", chunks("+3\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a size with -", chunks("-3\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "-0", chunks("-0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a blank before the size", chunks(" 3\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a blank after the size", chunks("3 \r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a tab after the size", chunks("3\t\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a blank within the size", chunks("1 0\r\n0123456789abcdef\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "an underscore in the size", chunks("1_0\r\n0123456789abcdef\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a fraction", chunks("3.0\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a comma after the size", chunks("3,0\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a NUL after the size", chunks("3\x00\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "0x80 after the size", chunks("3\x80\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "wide digits", chunks("\uff13\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "2^60", chunks("1000000000000000\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "2^63", chunks("8000000000000000\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "2^64-1", chunks("ffffffffffffffff\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "2^64", chunks("10000000000000000\r\n{hidden}0\r\n\r\n")),
	refused("400", "7.1", "2^64+3", chunks("10000000000000003\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "2^32 more than there is, written long", chunks("00000000100000003\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a thousand zeros", chunks(strings.Repeat("0", 1000)+"3\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a size that does not end", chunks(strings.Repeat("1", 9000))),
	refused("400", "7.1", "a size before a bare LF", chunks("3\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a size before a bare CR", chunks("3\rabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a size before CR CR LF", chunks("3\r\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1", "a size before LF CR", chunks("3\n\rabc\r\n0\r\n\r\n{hidden}")),
	broken("7.1", "data before a bare LF", "3\r\nabc\n0\r\n\r\n{hidden}"),
	broken("7.1", "data before a bare CR", "3\r\nabc\r0\r\n\r\n{hidden}"),
	broken("7.1", "more data than the size says", "3\r\nabcd\r\n0\r\n\r\n{hidden}"),
	broken("7.1", "less data than the size says", "5\r\nabc\r\n0\r\n\r\n{hidden}"),
	broken("7.1", "two characters in place of CR LF", "3\r\nabcXX0\r\n\r\n{hidden}"),
	broken("7.1", "one CR too many", "3\r\nabc\r\r\n0\r\n\r\n{hidden}"),
	broken("7.1", "an empty line too many", "3\r\nabc\r\n\r\n0\r\n\r\n{hidden}"),
	broken("7.1", "a last chunk before a bare LF", "3\r\nabc\r\n0\n\r\n{hidden}"),
	broken("7.1", "a last chunk before two bare LF", "3\r\nabc\r\n0\n\n{hidden}"),
	broken("7.1", "a last chunk of -0", "3\r\nabc\r\n-0\r\n\r\n{hidden}"),
	broken("7.1", "a second size that is no number", "3\r\nabc\r\nnonsense\r\n"),
	broken("7.1", "a second size that is too large", "3\r\nabc\r\n8000000000000000\r\n"),
	broken("7.1", "a request in place of the last chunk", "3\r\nabc\r\n{hidden}"),

	refused("400", "7.1.1", "a bare LF in an extension", chunks("3;a\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1.1", "a bare LF in a quoted extension", chunks("3;a=\"\n\"\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1.1", "a bare CR in an extension", chunks("3;a\rb\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1.1", "a NUL in an extension", chunks("3;a\x00\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1.1", "a blank before an extension", chunks("3 ;a\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1.1", "an extension behind a blank alone", chunks("3 a=b\r\nabc\r\n0\r\n\r\n{hidden}")),
	refused("400", "7.1.1", "an extension of 8 KiB", chunks("3;"+strings.Repeat("a", 8<<10)+"\r\nabc\r\n0\r\n\r\n")),
	refused("400", "7.1.1", "an extension that does not end", chunks("3;"+strings.Repeat("a", 64<<10))),
	broken("7.1.1", "far more extensions than data", strings.Repeat("1;"+strings.Repeat("a", 2000)+"\r\nx\r\n", 100)+"0\r\n\r\n{hidden}"),

	broken("7.1.2", "a trailer without a colon", "3\r\nabc\r\n0\r\nnonsense\r\n\r\n{hidden}"),
	broken("7.1.2", "a trailer with a blank before the colon", "3\r\nabc\r\n0\r\nX : y\r\n\r\n{hidden}"),
	broken("7.1.2", "a trailer with a fold", "3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n{hidden}"),
	broken("7.1.2", "a trailer before a bare LF", "3\r\nabc\r\n0\r\nX: y\n\r\n{hidden}"),
	broken("7.1.2", "a trailer that ends in a bare LF", "3\r\nabc\r\n0\r\nX: y\r\n\n{hidden}"),
	broken("7.1.2", "a trailer with a bare CR", "3\r\nabc\r\n0\r\nX: y\rz: 1\r\n\r\n{hidden}"),
	broken("7.1.2", "a trailer with a NUL", "3\r\nabc\r\n0\r\nX: \x00\r\n\r\n{hidden}"),
	broken("7.1.2", "a request in place of a trailer", "3\r\nabc\r\n0\r\n{hidden}"),
	broken("7.1.2", "a trailer with two lengths", "3\r\nabc\r\n0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{hidden}"),
	{name: "a trailer of 300 KiB", section: "7.1.2", bytes: chunks("3\r\nabc\r\n0\r\nX: " + strings.Repeat("a", 300<<10) + "\r\n\r\n"), answers: "431", reaches: "POST / …"},
	{name: "a trailer of 5,000 fields", section: "7.1.2", bytes: chunks("3\r\nabc\r\n0\r\n" + strings.Repeat("X: y\r\n", 5000) + "\r\n"), answers: "431", reaches: "POST / …"},
}
