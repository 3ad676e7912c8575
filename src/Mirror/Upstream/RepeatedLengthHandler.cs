using System.Globalization;
using System.Net;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>
/// Some proxies send <c>Content-Length</c> twice, or as <c>5, 5</c>. RFC 9110 (8.6) lets a client take equal numbers as one. .NET takes
/// such a body as one without a length: it would wait for the end of a connection that stays open. Different numbers do not say where the
/// body ends: the answer is refused.
/// </summary>
internal sealed class RepeatedLengthHandler : DelegatingHandler
{
    private const string Header = "Content-Length";

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        // The length of a body in chunks is in the chunks.
        if (!response.Content.Headers.NonValidated.TryGetValues(Header, out var values)
            || response.Headers.NonValidated.Contains("Transfer-Encoding")
            || values.SelectMany(value => value.Split(',', StringSplitOptions.TrimEntries)).ToArray() is not [var first, _, ..] all)
            return response;
        if (Array.TrueForAll(all, value => value == first)
            && long.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out var length))
        {
            response.Content = new OneLength(response.Content, length, hasBody: request.Method != HttpMethod.Head);
            return response;
        }
        // A HEAD has no body: its answer is one without a length.
        if (request.Method == HttpMethod.Head)
        {
            response.Content.Headers.Remove(Header);
            return response;
        }
        response.Dispose();
        throw new HttpRequestException(
            HttpRequestError.InvalidResponse, $"it sent different lengths of one body ({Header}: {string.Join(", ", all)})");
    }

    // The body ends after so many bytes, also if the connection stays open.
    private sealed class OneLength : HttpContent
    {
        private readonly HttpContent _body;
        private readonly long _length;
        private readonly bool _hasBody;

        public OneLength(HttpContent body, long length, bool hasBody)
        {
            (_body, _length, _hasBody) = (body, length, hasBody);
            foreach (var (name, values) in body.Headers.NonValidated)
                if (!name.Equals(Header, StringComparison.OrdinalIgnoreCase))
                    Headers.TryAddWithoutValidation(name, values);
            Headers.ContentLength = length;
        }

        protected override Task<Stream> CreateContentReadStreamAsync() => CreateContentReadStreamAsync(CancellationToken.None);

        protected override async Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken)
        {
            var stream = await _body.ReadAsStreamAsync(cancellationToken);
            return _hasBody ? new BoundedStream(stream, _length) : stream;
        }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            await (await CreateContentReadStreamAsync()).CopyToAsync(stream);

        protected override bool TryComputeLength(out long length)
        {
            length = _length;
            return true;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _body.Dispose();
            base.Dispose(disposing);
        }
    }

    private sealed class BoundedStream(Stream inner, long length) : ForwardReadStream
    {
        private long _left = length;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_left == 0)
                return 0;
            var read = await inner.ReadAsync(buffer[..(int)Math.Min(buffer.Length, _left)], cancellationToken);
            if (read == 0 && buffer.Length > 0)
                throw new HttpIOException(HttpRequestError.ResponseEnded, $"The body ended {_left} bytes before its length.");
            _left -= read;
            return read;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
