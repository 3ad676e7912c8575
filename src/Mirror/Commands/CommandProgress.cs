using System.Text;
using Mirror.Maintenance;
using Spectre.Console;

namespace Mirror.Commands;

/// <summary>Shows how far a command is: with a bar on a terminal, and with a line every ten seconds elsewhere.</summary>
/// <param name="SoFar">What has been done, in words. Called from another thread.</param>
/// <param name="Share">From 0 to 1; null while that is not known.</param>
internal sealed record CommandProgress(Func<string> SoFar, Func<double?> Share)
{
    // The bar, and what else a line has beside the words. Words that need a second line would leave the bar no room.
    private const int BarWidth = 20;
    private const int Beside = BarWidth + 12;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    /// <summary>Runs the work of a command.</summary>
    /// <param name="work">Gets the writer for its output: above the bar, where there is one.</param>
    public async Task<T> RunAsync<T>(TimeProvider time, TextWriter output, TextWriter error, Func<TextWriter, Task<T>> work)
    {
        if (output != Console.Out || Console.IsOutputRedirected)
        {
            await using (new ProgressLines(time, error, SoFar))
                return await work(output);
        }
        return await AnsiConsole.Progress().AutoClear(true)
            .Columns(new SpinnerColumn(), new ProgressBarColumn { Width = BarWidth }, new PercentageColumn(), new TaskDescriptionColumn())
            .StartAsync(async bars =>
            {
                var bar = bars.AddTask(Words(), maxValue: 1);
                await using var timer = time.CreateTimer(_ => Show(bar), null, Interval, Interval);
                return await work(new AboveTheBar());
            });
    }

    private void Show(ProgressTask bar)
    {
        bar.Description = Words();
        bar.IsIndeterminate = Share() is null;
        bar.Value = Share() ?? 0;
    }

    private string Words()
    {
        var (words, most) = (SoFar(), Math.Max(BarWidth, AnsiConsole.Profile.Width - Beside));
        return Markup.Escape(words.Length <= most ? words : $"{words[..(most - 1)]}…");
    }

    private sealed class AboveTheBar : TextWriter
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void WriteLine(string? value) => AnsiConsole.WriteLine(value ?? "");

        public override Task WriteLineAsync(string? value)
        {
            WriteLine(value);
            return Task.CompletedTask;
        }
    }
}
