using System.Text.RegularExpressions;
using Mirror.Commands;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;

namespace Mirror.Tests.Configuration;

/// <summary><c>check-config --sample</c>.</summary>
public sealed partial class SampleTests
{
    [Fact]
    public void The_sample_of_the_repository_is_what_the_program_prints()
    {
        var file = Path.Combine(MirrorProcess.Repository, "deploy", "config.sample.yml");

        Assert.Equal(File.ReadAllText(file), Sample());
    }

    [Fact]
    public void The_sample_is_a_file_without_a_setting()
    {
        var loaded = Load(Sample());

        Assert.Empty(loaded.Errors);
        Assert.Empty(loaded.Warnings);
        Assert.Single(loaded.Values.GetChildren());
    }

    [Theory]
    [InlineData("#log:\n#  # The least severe lines that are written: error, warn, info or debug. loglevel is the old name. "
        + "(REGISTRY_LOG_LEVEL)\n#  level: info\n")]
    [InlineData("#  tags_cache_ttl: 10m\n")]
    [InlineData("(REGISTRY_NOTIFICATIONS_ENDPOINTS_0_THRESHOLD)\n#      threshold: 10\n")]
    [InlineData("(REGISTRY_PROXY_UPSTREAMS_0_REMOTEURL)\n#      remoteurl:\n")]
    public void A_key_stands_with_its_meaning_its_variable_and_its_default(string lines) => Assert.Contains(lines, Sample());

    [Fact]
    public void Without_the_comment_signs_every_line_is_a_known_key()
    {
        var loaded = Load(Setting().Replace(Sample(), ""));

        Assert.NotEmpty(loaded.Errors);
        Assert.DoesNotContain(loaded.Errors, mistake => mistake.StartsWith("line ", StringComparison.Ordinal));
        Assert.DoesNotContain(
            loaded.Errors.Concat(loaded.Warnings), mistake => mistake.Contains("not a known key", StringComparison.Ordinal));
    }

    private static string Sample()
    {
        using var text = new StringWriter();
        SampleConfiguration.Write(text);
        return text.ToString();
    }

    [GeneratedRegex("^#(?! )|^#(?=  )", RegexOptions.Multiline)]
    private static partial Regex Setting();
}
