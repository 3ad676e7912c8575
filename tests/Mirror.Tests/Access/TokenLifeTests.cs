using Microsoft.Extensions.Time.Testing;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Hosting;
using Xunit;

namespace Mirror.Tests.Access;

/// <summary>How long tokens count, and what the start says of clients with certificates.</summary>
public sealed class TokenLifeTests
{
    [Theory]
    [InlineData(true, 0, true)]
    [InlineData(true, 1, false)]
    [InlineData(false, 59, true)]
    [InlineData(false, 61, false)]
    public void Only_tokens_of_another_server_count_a_minute_longer(bool isOwn, int secondsAfterEnd, bool counts)
    {
        var time = new FakeTimeProvider();
        var verifier = new TokenVerifier(_ => null, "issuer", "audience", [], time, isOwn);
        var claims = new TokenClaims { Exp = time.GetUtcNow().ToUnixTimeSeconds() - secondsAfterEnd };
        Assert.Equal(counts, verifier.IsInTime(claims));
    }

    [Fact]
    public void With_an_obtained_certificate_clients_need_theirs_as_well()
    {
        var options = new MirrorOptions
        {
            Http =
            {
                Addr = ":5000",
                Tls = new TlsOptions
                {
                    ClientCas = ["ca.pem"],
                    LetsEncrypt = new LetsEncryptOptions { CacheFile = "letsencrypt.cache" },
                },
            },
        };
        Assert.Contains("clients with a certificate", AccessSummary.Of(options), StringComparison.Ordinal);
        Assert.Empty(AccessSummary.Warnings(options));
    }
}
