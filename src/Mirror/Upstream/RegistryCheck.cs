using System.Net;
using System.Text;
using Mirror.Storage;
using static Mirror.Upstream.UpstreamAnswers;

namespace Mirror.Upstream;

/// <summary>
/// Whether a registry answers at an upstream's address, by its <c>/v2/</c>. A proxy or an ingress that has lost its route to the registry
/// answers 404 to every path; such a 404 does not say that content is missing. The same request finds a <c>remoteurl</c> that names no
/// registry. It is sent only after an answer that registries seldom give, and once more if a manifest comes after it.
/// </summary>
public sealed class RegistryCheck(UpstreamOrigin origin, UpstreamState state, HttpClient http, TimeProvider time)
{
    // How long an answer of "/v2/" counts. Some registries send each 404 without the usual error; they are not asked after each of them.
    private static readonly TimeSpan AnswerLife = TimeSpan.FromSeconds(5);

    private readonly SingleFlight<string, Answer> _running = new();
    private volatile Answer? _last;
    // A few registries, such as static files, have no "/v2/". A manifest from one of them has shown it.
    private volatile bool _hasNoRoot;

    /// <summary>Returns if a 404 or 410 is the answer of a registry, so that it says that the content is missing.</summary>
    /// <exception cref="UpstreamUnavailableException">No registry answers at this address now.</exception>
    public async Task RequireRegistryAsync(HttpResponseMessage missing, CancellationToken cancellationToken)
    {
        if (!_hasNoRoot && !HasErrors(await StartAsync(missing, cancellationToken))
            && await AskAsync(cancellationToken) is { IsRegistry: false, Text: var text })
            throw new UpstreamUnavailableException(
                $"{origin.Authority} answered {(int)missing.StatusCode} without a registry's error, and {text}.");
    }

    /// <summary>An answer was neither content nor the error of a registry: tells the log if no registry answers at this address.</summary>
    public async Task SuspectAsync(CancellationToken cancellationToken)
    {
        if (!_hasNoRoot)
            await AskAsync(cancellationToken);
    }

    /// <summary>Upstream has answered for a manifest, to GET or HEAD. If its <c>/v2/</c> did not answer as a registry does, it is asked
    /// again. If its answer still is not that of a registry, this upstream has no <c>/v2/</c>, and its 404s mean that content is missing.
    /// No answer and a 5xx say nothing: the next manifest asks again.</summary>
    public async Task NoteManifestAsync(CancellationToken cancellationToken)
    {
        if (_hasNoRoot || _last is not { IsRegistry: false })
            return;
        _last = null;
        if (await AskAsync(cancellationToken) is not { IsRegistry: false, HasFailed: false })
            return;
        _hasNoRoot = true;
        state.FoundRegistry();
    }

    private async Task<Answer> AskAsync(CancellationToken cancellationToken) =>
        _last is { } last && time.GetElapsedTime(last.At) < AnswerLife ? last
            : (await _running.JoinOrStart("v2/", SendAsync, cancellationToken)).Result;

    private async Task<Answer> SendAsync(CancellationToken cancellationToken)
    {
        Answer answer;
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(origin.BaseAddress, "v2/"));
            LoopMark.AddTo(request, origin);
            using var response = await UpstreamRequest.SendAsync(http, request, origin, cancellationToken);
            var start = await StartAsync(response, cancellationToken);
            var (status, kind) = ((int)response.StatusCode, IsWebPage(response) ? " and a web page" : "");
            answer = new(
                IsOfRegistry(response, start), HasFailed: status >= 500, $"its /v2/ answers {status}{kind}", time.GetTimestamp());
            if (answer.IsRegistry)
                state.FoundRegistry();
            // AvailabilityHandler has noted a 5xx already.
            else if (!answer.HasFailed)
                state.FoundNoRegistry(answer.Text, isTlsPort: status == 400 && TlsFault.IsSaidIn(start));
        }
        catch (UpstreamException failure)
        {
            answer = new(IsRegistry: false, HasFailed: true, $"its /v2/ gives no answer ({failure.Reason})", time.GetTimestamp());
        }
        return _last = answer;
    }

    private static bool IsOfRegistry(HttpResponseMessage response, string start) =>
        response.Headers.Contains("Docker-Distribution-Api-Version")
        || response.IsSuccessStatusCode && !IsWebPage(response)
        || response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.TooManyRequests
        || HasErrors(start);

    // The specification's form of an error.
    private static bool HasErrors(string start) =>
        start.StartsWith('{') && start.Contains("\"errors\"", StringComparison.OrdinalIgnoreCase);

    private async Task<string> StartAsync(HttpResponseMessage response, CancellationToken cancellationToken) =>
        Encoding.UTF8.GetString(await UpstreamRequest.ReadStartAsync(response, MaxErrorStart, origin, cancellationToken))
            .TrimStart('\uFEFF', ' ', '\t', '\r', '\n');

    /// <param name="HasFailed">Whether there was no answer, or a 5xx.</param>
    /// <param name="Text">What <c>/v2/</c> answered, in words.</param>
    private sealed record Answer(bool IsRegistry, bool HasFailed, string Text, long At);
}
