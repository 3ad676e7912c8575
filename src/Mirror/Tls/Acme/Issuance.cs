using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Serialization.Metadata;

namespace Mirror.Tls.Acme;

/// <summary>Obtains certificates: one order, one authorization and one certificate for each host (RFC 8555, 7.4).</summary>
/// <param name="byFile">Whether a host is proved by HTTP-01; else by TLS-ALPN-01.</param>
internal sealed class Issuance(AcmeSession session, CertificateFolder folder, Challenges challenges, bool byFile, TimeProvider time)
{
    private static readonly TimeSpan MaxTime = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan FirstLook = TimeSpan.FromMilliseconds(250), LongestLook = TimeSpan.FromSeconds(5);
    // A longer answer to "when may I ask again" ends the attempt by its time.
    private static readonly TimeSpan MaxRetryAfter = TimeSpan.FromMinutes(2);
    private const int MaxFailedLooks = 5;

    private string ChallengeType => byFile ? "http-01" : "tls-alpn-01";

    /// <summary>Obtains a certificate, and stores it in the folder. An order that an earlier attempt, also of an earlier process, left
    /// unfinished goes on.</summary>
    /// <exception cref="AcmeException">The authority refuses, cannot be reached, sends something else, or needs more than 10
    /// minutes.</exception>
    /// <exception cref="IOException">The disk refused.</exception>
    /// <exception cref="UnauthorizedAccessException">The process has no right to the folder.</exception>
    public async Task<HostCertificate> ObtainAsync(string host, CancellationToken cancellationToken)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limited.CancelAfter(MaxTime);
        try
        {
            return await OrderAsync(host, limited.Token);
        }
        catch (OperationCanceledException failure) when (!cancellationToken.IsCancellationRequested)
        {
            throw new AcmeException($"the authority did not decide within {MaxTime.TotalMinutes} min", failure);
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            session.Forget();
            throw;
        }
    }

    private async Task<HostCertificate> OrderAsync(string host, CancellationToken cancellationToken)
    {
        var newOrder = await session.OpenAsync(cancellationToken);
        var (url, key, order) = await LeftAsync(newOrder, host, cancellationToken) ?? await NewAsync(newOrder, host, cancellationToken);
        using var ownKey = key;
        try
        {
            if (order.Status is "pending")
            {
                foreach (var authorization in order.Authorizations ?? [])
                    await AuthorizeAsync(authorization, host, cancellationToken);
                order = await UntilAsync(url, AcmeJson.Default.AcmeOrder, o => o.Status is not "pending", cancellationToken);
            }
            if (order.Status is "ready")
            {
                var finalize = order.Finalize ?? throw new AcmeException($"{url}: the order has no address to finalize it");
                await session.PostAsync(finalize, new AcmeFinalize(Base64Url.EncodeToString(RequestOf(host, key))),
                    AcmeJson.Default.AcmeFinalize, AcmeJson.Default.AcmeOrder, cancellationToken);
                order = await UntilAsync(
                    url, AcmeJson.Default.AcmeOrder, o => o.Status is not ("ready" or "processing"), cancellationToken);
            }
            else if (order.Status is "processing")
                order = await UntilAsync(url, AcmeJson.Default.AcmeOrder, o => o.Status is not "processing", cancellationToken);
        }
        // After a failure of the network or of the authority itself, the next attempt goes on with the order.
        catch (AcmeException refused) when (refused.Type is not (null or "badNonce" or "serverInternal" or "rateLimited"))
        {
            folder.ForgetOrder(host);
            throw;
        }
        if (order is not { Status: "valid", Certificate: { } address })
        {
            folder.ForgetOrder(host);
            throw AcmeException.Of($"the order {url} is {order.Status}", order.Error);
        }
        var pem = $"{key.ExportECPrivateKeyPem()}\n{await session.GetTextAsync(address, cancellationToken)}";
        try
        {
            var certificate = HostCertificate.Parse(pem, host);
            // If the disk refuses it, the order stays, and the next attempt fetches the same certificate.
            folder.KeepCertificate(host, pem);
            folder.ForgetOrder(host);
            return certificate;
        }
        catch (CryptographicException failure)
        {
            folder.ForgetOrder(host);
            throw new AcmeException($"{address} sent a certificate that cannot be used: {failure.Message}", failure);
        }
    }

    /// <summary>The order that is left from before, if the authority goes on with it.</summary>
    private async Task<(Uri Url, ECDsa Key, AcmeOrder Order)?> LeftAsync(Uri newOrder, string host, CancellationToken cancellationToken)
    {
        if (folder.Order(host) is not var (url, key))
            return null;
        try
        {
            // The settings may name another authority now.
            var order = url.Authority != newOrder.Authority ? new(null, null, null, null, null)
                : (await session.GetAsync(url, AcmeJson.Default.AcmeOrder, cancellationToken)).Document;
            if (order.Status is "pending" or "ready" or "processing" or "valid")
                return (url, key, order);
        }
        catch (AcmeException failure) when (failure.Status is >= 400 and < 500 and not 429)
        {
            // It has ended, or is that of another account.
        }
        catch
        {
            key.Dispose();
            throw;
        }
        key.Dispose();
        folder.ForgetOrder(host);
        return null;
    }

    private async Task<(Uri Url, ECDsa Key, AcmeOrder Order)> NewAsync(Uri newOrder, string host, CancellationToken cancellationToken)
    {
        var answer = await session.PostAsync(newOrder, new AcmeNewOrder([new("dns", host)]),
            AcmeJson.Default.AcmeNewOrder, AcmeJson.Default.AcmeOrder, cancellationToken);
        var url = answer.Location ?? throw new AcmeException($"{newOrder} did not say where the order is (Location)");
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        folder.KeepOrder(host, url, key);
        return (url, key, answer.Document);
    }

    private async Task AuthorizeAsync(Uri url, string host, CancellationToken cancellationToken)
    {
        var authorization = (await session.GetAsync(url, AcmeJson.Default.AcmeAuthorization, cancellationToken)).Document;
        // The authority may remember an earlier proof.
        if (authorization.Status is "valid")
            return;
        var challenge = (authorization.Challenges ?? []).FirstOrDefault(each => each.Type == ChallengeType);
        if (challenge is not { Url: { } address, Token: { Length: > 0 } token })
            throw new AcmeException($"the authority offers no challenge {ChallengeType} for {host}") { Type = "unsupportedChallenge" };
        if (!Base64Url.IsValid(token))
            throw new AcmeException($"the authority's token for {host} is not base64url");
        var proof = $"{token}.{session.Thumbprint}";
        using var offer = byFile ? challenges.OfferFile(token, proof) : challenges.OfferHandshake(host, proof);
        await session.ReadyAsync(address, cancellationToken);
        var decided = await UntilAsync(
            url, AcmeJson.Default.AcmeAuthorization, each => each.Status is not ("pending" or "processing"), cancellationToken);
        if (decided.Status is "valid")
            return;
        var problem = (decided.Challenges ?? []).Select(each => each.Error).FirstOrDefault(each => each is not null);
        throw AcmeException.Of($"the proof of {host} by {ChallengeType} is {decided.Status}", problem);
    }

    /// <summary>Asks until a document is final; a few failures in between end nothing.</summary>
    private async Task<T> UntilAsync<T>(Uri url, JsonTypeInfo<T> type, Predicate<T> isFinal, CancellationToken cancellationToken)
    {
        var wait = FirstLook;
        for (var failed = 0; ;)
        {
            TimeSpan? asked = null;
            try
            {
                var answer = await session.GetAsync(url, type, cancellationToken);
                if (isFinal(answer.Document))
                    return answer.Document;
                (asked, failed) = (answer.RetryAfter, 0);
            }
            catch (AcmeException failure) when (failure.Status is 0 or 429 or >= 500 && ++failed < MaxFailedLooks)
            {
                asked = failure.RetryAfter;
            }
            var pause = asked is { } retryAfter && retryAfter > wait ? retryAfter : wait;
            await Task.Delay(pause < MaxRetryAfter ? pause : MaxRetryAfter, time, cancellationToken);
            wait = wait * 2 < LongestLook ? wait * 2 : LongestLook;
        }
    }

    private static byte[] RequestOf(string host, ECDsa key)
    {
        // The name stands in the extension alone: a common name may have 64 characters only.
        var request = new CertificateRequest(new X500DistinguishedName(""), key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(host);
        request.CertificateExtensions.Add(names.Build());
        return request.CreateSigningRequest();
    }
}
